//! The loop filter.
//!
//! Every transaction that Causeway applies begins with a row in `causeway.checkpoint` that names the sites the
//! transaction has been at. Whoever reads that server's binlog sees the row before any other and can decide at once.

use crate::model::change::Site;

/// What the head of a transaction says of where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Made on the server whose binlog it stands in.
    Local,
    /// Applied there by Causeway, after it had been at these sites.
    Applied(Vec<Site>),
    /// Causeway's own bookkeeping; carries no data.
    Bookkeeping,
}

/// Reads the `path` column of a checkpoint row.
pub fn parse(path: &str) -> Origin {
    if path.is_empty() {
        return Origin::Bookkeeping;
    }
    Origin::Applied(path.split(',').map(str::to_owned).collect())
}

/// The `path` column of a checkpoint row.
pub fn print(path: &[Site]) -> String {
    path.join(",")
}

/// The sites of a transaction of this origin, read at `here`, if it may go on to `there`.
pub fn onward(origin: &Origin, here: &Site, there: &Site) -> Option<Vec<Site>> {
    let mut path = match origin {
        Origin::Local => Vec::new(),
        Origin::Applied(path) => path.clone(),
        Origin::Bookkeeping => return None,
    };
    if path.contains(there) {
        return None;
    }
    if !path.contains(here) {
        path.push(here.clone());
    }
    Some(path)
}

/// The sites of a transaction of this origin, read at `here`, with which it goes back to one that it has been at.
pub fn back(origin: &Origin, here: &Site) -> Option<Vec<Site>> {
    let Origin::Applied(path) = origin else { return None };
    let mut path = path.clone();
    if !path.contains(here) {
        path.push(here.clone());
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origin: &str, here: &str, there: &str, expected: Option<&str>) {
        let origin = if origin == "local" {
            Origin::Local
        } else {
            parse(origin)
        };
        let path = onward(&origin, &here.to_owned(), &there.to_owned());
        assert_eq!(path.map(|path| print(&path)).as_deref(), expected);
    }

    #[test]
    fn a_transaction_never_goes_where_it_has_been() {
        check("local", "a", "b", Some("a"));
        check("a", "b", "a", None);
        check("a", "b", "c", Some("a,b"));
        check("a,b", "c", "a", None);
        check("", "a", "b", None);
    }
}
