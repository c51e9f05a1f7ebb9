//! The path (`$."key"[0]`) of the place where a walk over a JSON document is.

/// Follows a walk: [`Path::open`] and [`Path::close`] a container, [`Path::key`] at an entry's name, [`Path::value`]
/// at each value, containers included.
#[derive(Debug)]
pub(crate) struct Path {
    text: String,
    open: Vec<Container>,
}

#[derive(Debug)]
struct Container {
    /// Length of the container's own path.
    length: usize,
    /// Index of the next element; `None` in an object.
    next: Option<usize>,
}

impl Path {
    pub(crate) fn new() -> Self {
        Self {
            text: "$".to_owned(),
            open: Vec::new(),
        }
    }

    /// The path of the value that [`Path::value`] was last called for.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn open(&mut self, array: bool) {
        self.open.push(Container {
            length: self.text.len(),
            next: array.then_some(0),
        });
    }

    pub(crate) fn close(&mut self) {
        if let Some(container) = self.open.pop() {
            self.text.truncate(container.length);
        }
    }

    /// Whether the innermost container is an object.
    pub(crate) fn in_object(&self) -> bool {
        self.open.last().is_some_and(|container| container.next.is_none())
    }

    /// `quoted` is the name as a JSON string, quotes and escapes included: just what a path takes.
    pub(crate) fn key(&mut self, quoted: &str) {
        if let Some(container) = self.open.last() {
            self.text.truncate(container.length);
            self.text.push('.');
            self.text.push_str(quoted);
        }
    }

    pub(crate) fn value(&mut self) {
        if let Some(Container {
            length,
            next: Some(index),
        }) = self.open.last_mut()
        {
            self.text.truncate(*length);
            self.text.push_str(&format!("[{index}]"));
            *index += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_follows_the_walk_into_containers_and_out_again() {
        // {"a": [1, {"b": 2}], "c": 3}
        let mut path = Path::new();
        path.value();
        assert_eq!(path.as_str(), "$");
        path.open(false);
        path.key("\"a\"");
        path.value();
        path.open(true);
        path.value();
        assert_eq!(path.as_str(), "$.\"a\"[0]");
        path.value();
        path.open(false);
        path.key("\"b\"");
        path.value();
        assert_eq!(path.as_str(), "$.\"a\"[1].\"b\"");
        path.close();
        path.close();
        path.key("\"c\"");
        path.value();
        assert_eq!(path.as_str(), "$.\"c\"");
    }
}
