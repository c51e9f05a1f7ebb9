//! Whether a server still is what a link has been reading: itself, or a replica that took its place.
//!
//! A promoted replica has the transactions of its former source under the same GTIDs. What a link has applied at the other
//! side must be among them; else the two sides have parted, and nothing would ever tell. What the link has met and found
//! to carry nothing (Causeway's own rows, transactions that came from the other side, tables that are not selected) may
//! be missing: what came from the other side is missing from the checkpoint as well, which was lost with it, and is
//! applied again.
//!
//! Places in binlog files mean nothing at another server and are not in `gtid_executed`: a link that goes by file and offset
//! looks at the server's own files instead, also where the server has GTIDs by now.

use super::gtid::{GtidSet, Tag, Uuid};

/// Intervals of passed transactions that are kept of each server. When they alternate so densely with applied ones that
/// this does not reach far back, a replica that lacks older ones lacks applied ones too.
const INTERVALS: usize = 256;

/// What a link's checkpoint says of its source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Covered {
    /// What has been applied, or met and found to carry nothing.
    pub applied: GtidSet,
    /// What copied rows may show.
    pub copied: GtidSet,
    /// What is among `applied` and carried nothing, as far as it is still known.
    pub passed: GtidSet,
    /// The source's `server_uuid` when the link last began; empty if that is not known.
    pub server_uuid: String,
    /// Tables are being copied: what their rows show is not known yet.
    pub copying: bool,
}

/// Why a server can't be the link's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// It has none of the transactions.
    Stranger,
    /// It lacks these.
    Lacks(GtidSet),
    /// It has dropped binlogs with these, which are still to be applied.
    Purged(GtidSet),
    /// It took the place of the source of this `server_uuid` while tables were being copied.
    Copying(String),
}

impl Covered {
    /// Why the server can't be the source of what comes next, if it can't.
    pub fn unfit(&self, server_uuid: &str, executed: &GtidSet, purged: &GtidSet) -> Option<Unfit> {
        if self.applied.is_empty() || self.goes_by_file() {
            return None;
        }
        let mut known = self.applied.clone();
        known.union(&self.copied);
        let mut common = known.clone();
        common.intersect(executed);
        if common.is_empty() {
            return Some(Unfit::Stranger);
        }
        known.subtract(executed);
        known.subtract(&self.passed);
        if !known.is_empty() {
            return Some(Unfit::Lacks(known));
        }
        let mut gone = purged.clone();
        gone.subtract(&self.applied);
        if !gone.is_empty() {
            return Some(Unfit::Purged(gone));
        }
        let replaced = !self.server_uuid.is_empty() && self.server_uuid != server_uuid;
        (self.copying && replaced).then(|| Unfit::Copying(self.server_uuid.clone()))
    }

    /// What of `applied` the server does not have. The checkpoint must forget it: were the old server to come back into
    /// service, it would give these numbers to other transactions.
    pub fn lost(&self, executed: &GtidSet) -> GtidSet {
        if self.goes_by_file() {
            return GtidSet::new();
        }
        let mut lost = self.applied.clone();
        lost.subtract(executed);
        lost
    }

    fn goes_by_file(&self) -> bool {
        self.applied.file_position().is_some()
    }
}

/// The newest part of a set of passed transactions, small enough to be written often.
pub fn newest(passed: &GtidSet) -> GtidSet {
    let mut kept = GtidSet::new();
    let parts: Vec<(Uuid, &Tag, usize)> = passed.iter().map(|(uuid, tag, all)| (uuid, tag, all.len())).collect();
    for ((uuid, tag, intervals), (.., count)) in passed.iter().zip(parts) {
        for interval in intervals.iter().skip(count.saturating_sub(INTERVALS)) {
            kept.insert_range(uuid, tag, interval.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaa-0000-0000-0000-000000000000";
    const B: &str = "bbbbbbbb-0000-0000-0000-000000000000";

    /// GTID sets as `A:1-5`.
    fn set(text: &str) -> GtidSet {
        text.replace("A:", &format!("{A}:"))
            .replace("B:", &format!("{B}:"))
            .parse()
            .unwrap()
    }

    struct Case {
        applied: &'static str,
        copied: &'static str,
        passed: &'static str,
        executed: &'static str,
        purged: &'static str,
    }

    const CASE: Case = Case {
        applied: "A:1-10",
        copied: "",
        passed: "",
        executed: "A:1-20",
        purged: "",
    };

    fn check(case: &Case, expected: Option<Unfit>) {
        let covered = Covered {
            applied: set(case.applied),
            copied: set(case.copied),
            passed: set(case.passed),
            server_uuid: A.into(),
            copying: false,
        };
        assert_eq!(covered.unfit(B, &set(case.executed), &set(case.purged)), expected);
    }

    #[test]
    fn a_server_fits_if_it_has_what_was_applied() {
        check(&CASE, None);
        let executed = "A:1-10, B:1-3";
        check(&Case { executed, ..CASE }, None);
        let applied = "";
        check(
            &Case {
                applied,
                executed: "B:1",
                ..CASE
            },
            None,
        );
    }

    #[test]
    fn places_in_files_are_not_looked_for_among_gtids() {
        let applied = "A:@file:000000.1-000001.500";
        check(&Case { applied, ..CASE }, None);
        let covered = Covered {
            applied: set(applied),
            ..Covered::default()
        };
        assert_eq!(covered.lost(&set("A:1-20")), GtidSet::new());
    }

    #[test]
    fn what_was_applied_must_be_there_and_what_carried_nothing_need_not() {
        let executed = "A:1-7, B:1-3";
        check(&Case { executed, ..CASE }, Some(Unfit::Lacks(set("A:8-10"))));
        let passed = "A:5:8:10";
        check(
            &Case {
                executed,
                passed,
                ..CASE
            },
            Some(Unfit::Lacks(set("A:9"))),
        );
        check(
            &Case {
                executed,
                passed: "A:8-10",
                ..CASE
            },
            None,
        );
    }

    #[test]
    fn copied_rows_count_as_applied() {
        let copied = "A:1-12";
        check(&Case { copied, ..CASE }, None);
        let executed = "A:1-11";
        check(
            &Case {
                copied,
                executed,
                ..CASE
            },
            Some(Unfit::Lacks(set("A:12"))),
        );
    }

    #[test]
    fn a_server_without_any_of_it_is_another() {
        check(
            &Case {
                executed: "B:1-100",
                ..CASE
            },
            Some(Unfit::Stranger),
        );
        check(&Case { executed: "", ..CASE }, Some(Unfit::Stranger));
    }

    #[test]
    fn purged_binlogs_matter_beyond_what_was_applied() {
        check(
            &Case {
                purged: "A:1-10",
                ..CASE
            },
            None,
        );
        check(
            &Case {
                purged: "A:1-12",
                ..CASE
            },
            Some(Unfit::Purged(set("A:11-12"))),
        );
    }

    #[test]
    fn a_server_is_not_replaced_while_tables_are_copied() {
        let covered = Covered {
            applied: set("A:1"),
            server_uuid: A.into(),
            copying: true,
            ..Covered::default()
        };
        let unfit = |uuid| covered.unfit(uuid, &set("A:1-5"), &set(""));
        assert_eq!(unfit(A), None);
        assert_eq!(unfit(B), Some(Unfit::Copying(A.into())));
    }

    #[test]
    fn what_is_lost_is_what_the_server_lacks() {
        let covered = Covered {
            applied: set("A:1-10, B:1-2"),
            ..Covered::default()
        };
        assert_eq!(covered.lost(&set("A:1-7, B:1-9")), set("A:8-10"));
    }

    #[test]
    fn passed_transactions_are_kept_as_far_as_they_are_new() {
        let mut passed = set("B:7");
        let uuid = A.parse().unwrap();
        for number in 0..1000_u64 {
            passed.insert_range(uuid, &Tag::default(), number * 2 + 1..number * 2 + 2);
        }
        let kept = newest(&passed);
        assert_eq!(kept.count(), 257);
        assert!(kept.contains(&format!("{A}:1999").parse().unwrap()));
        assert!(!kept.contains(&format!("{A}:1").parse().unwrap()));
        assert!(kept.is_subset_of(&passed));
    }
}
