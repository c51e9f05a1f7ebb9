//! LIKE patterns over names: `%` is any text, `_` any one character, `\` takes the next character as it is.

/// Whether the name fits the pattern. Case counts: table names do on most servers.
pub fn matches(pattern: &str, name: &str) -> bool {
    if !pattern.contains('%') {
        // Most patterns are names; with thousands of them this is done millions of times.
        let mut name = name.chars();
        let fits = parts(pattern).all(|part| match (part, name.next()) {
            (Part::One, found) => found.is_some(),
            (Part::Char(wanted), found) => found == Some(wanted),
            (Part::Any, _) => false,
        });
        return fits && name.next().is_none();
    }
    let pattern: Vec<Part> = parts(pattern).collect();
    let name: Vec<char> = name.chars().collect();
    // Greedy with one place to go back to: the last %. Earlier ones need no second look, since they matched the
    // shortest text; so this takes pattern times name steps at most.
    let (mut at, mut place) = (0, 0);
    let mut back = None;
    while place < name.len() {
        match (pattern.get(at), name.get(place)) {
            (Some(Part::Any), _) => {
                at += 1;
                back = Some((at, place));
            }
            (Some(Part::One), _) => {
                at += 1;
                place += 1;
            }
            (Some(Part::Char(wanted)), Some(found)) if wanted == found => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((after, from)) = back else {
                    return false;
                };
                back = Some((after, from + 1));
                at = after;
                place = from + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|part| *part == Part::Any)
}

/// Whether the text has a `%` that counts, so that it may stand for several names in any case.
pub fn has_percent(pattern: &str) -> bool {
    parts(pattern).any(|part| part == Part::Any)
}

/// The one name that fits the pattern, if it has no wildcard.
pub fn only_name(pattern: &str) -> Option<String> {
    let char = |part| match part {
        Part::Char(char) => Some(char),
        Part::Any | Part::One => None,
    };
    parts(pattern).map(char).collect()
}

/// What the first `%` of the pattern stands for in a name that fits it, if that is the only `%` and there is no `_`
/// wildcard: then there is one answer.
pub fn captured<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    let all: Vec<Part> = parts(pattern).collect();
    let place = all.iter().position(|part| *part == Part::Any)?;
    let (head, tail) = (all.get(..place)?, all.get(place + 1..)?);
    let literal = |parts: &[Part]| -> Option<String> {
        let char = |part: &Part| match part {
            Part::Char(char) => Some(*char),
            Part::Any | Part::One => None,
        };
        parts.iter().map(char).collect()
    };
    name.strip_prefix(&literal(head)?)?.strip_suffix(&literal(tail)?)
}

/// Whether some name may fit both patterns. Says yes when in doubt: two patterns that each have a `%` are told apart by
/// what stands before it only.
pub fn may_overlap(a: &str, b: &str) -> bool {
    let mut b_parts = parts(b);
    for part in parts(a) {
        match (part, b_parts.next()) {
            (Part::Any, _) | (_, Some(Part::Any)) => {
                return match (has_percent(a), has_percent(b)) {
                    (true, false) => matches(a, b) || parts(b).any(|part| part == Part::One),
                    (false, true) => matches(b, a) || parts(a).any(|part| part == Part::One),
                    _ => true,
                };
            }
            (Part::Char(x), Some(Part::Char(y))) if x != y => return false,
            (_, None) => return false,
            _ => {}
        }
    }
    b_parts.all(|part| part == Part::Any)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Char(char),
}

fn parts(pattern: &str) -> impl Iterator<Item = Part> {
    let mut chars = pattern.chars();
    std::iter::from_fn(move || {
        Some(match chars.next()? {
            '%' => Part::Any,
            '_' => Part::One,
            '\\' => Part::Char(chars.next().unwrap_or('\\')),
            other => Part::Char(other),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns_as_like_has_it() {
        let check = |pattern: &str, name: &str, expected: bool| {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        };
        check("tmp_%", "tmp_1", true);
        check("tmp_%", "tmpx1", true);
        check("tmp_%", "tmp", false);
        check(r"tmp\_%", "tmpx1", false);
        check(r"tmp\_%", "tmp_1", true);
        check("%", "", true);
        check("", "", true);
        check("", "a", false);
        check("%a%b%", "xxaxxbxx", true);
        check("%ab", "aab", true);
        check("%ab", "aba", false);
        check("a_c", "aüc", true);
        check("orders", "Orders", false);
        check(r"100\%", "100%", true);
        check(r"a\", r"a\", true);
        let long = "a".repeat(5_000);
        check(&"a%".repeat(500), &long, true);
        check(&format!("{}b", "a%".repeat(500)), &long, false);
    }

    #[test]
    fn what_a_percent_stands_for_is_known_where_there_is_one() {
        let check = |pattern: &str, name: &str, expected: Option<&str>| {
            assert_eq!(captured(pattern, name), expected, "{pattern} {name}");
        };
        check(r"\_%\_gho", "_orders_gho", Some("orders"));
        check(r"\_%\_gho", "orders_gho", None);
        check(r"\_%\_gho", "_gho", None);
        check("%x", "abx", Some("ab"));
        check("_%x", "abx", None);
        check("%a%", "bab", None);
        check("plain", "plain", None);
    }

    #[test]
    fn patterns_overlap_unless_they_surely_do_not() {
        let check = |a: &str, b: &str, expected: bool| {
            assert_eq!(may_overlap(a, b), expected, "{a} {b}");
            assert_eq!(may_overlap(b, a), expected, "{b} {a}");
        };
        check("a", "a", true);
        check("a", "b", false);
        check("a", "ab", false);
        check("a_", "ab", true);
        check("a%", "ab", true);
        check("a%", "a", true);
        check("a%", "ba", false);
        check("%x", "ab", false);
        check("a%", "b%", false);
        check("a%x", "ab%", true);
        check("%", "%", true);
        check("", "", true);
    }
}
