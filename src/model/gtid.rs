//! GTIDs and sets of them, with the algebra that MySQL's `GTID_SUBSET` and `GTID_SUBTRACT` have.
//!
//! A set maps each source (UUID and tag) to its transaction numbers, kept as sorted, disjoint, half-open intervals
//! that never touch. So equal sets are equal values, and a set stays small however many transactions it holds.
//! Tags came with MySQL 8.3; a set without tags reads and prints as in every version before.

use std::cmp::{max, min};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::file_position::{self, FilePosition};

/// One more than the largest transaction number (`GNO_END`).
pub const GNO_END: u64 = i64::MAX as u64;

/// The longest tag, in characters.
pub const TAG_MAX_CHARS: usize = 32;

/// Why a text is not a GTID or GTID set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GtidError {
    /// Not 32 hexadecimal digits with or without dashes.
    #[error("'{0}' is not a server UUID; one looks like 3e11fa47-71ca-11e1-9e33-c80aa9429562")]
    Uuid(String),
    /// Not a tag.
    #[error("'{0}' is not a GTID tag: it starts with a letter or '_', then letters, digits or '_', at most 32 in all")]
    Tag(String),
    /// Not a transaction number.
    #[error("'{0}' is not a transaction number: 1 to 9223372036854775806")]
    Number(String),
    /// The last number comes before the first.
    #[error("the interval '{0}' ends before it starts")]
    Backwards(String),
    /// Something that should be a single GTID is not.
    #[error("'{0}' is not a GTID; one looks like UUID:7 or UUID:TAG:7")]
    Gtid(String),
    /// A UUID or a tag with nothing behind it.
    #[error("no transaction numbers follow '{0}'")]
    NoNumbers(String),
}

/// As much of a text as an error message should show.
fn shown(text: &str) -> String {
    text.chars().take(60).collect::<String>().escape_debug().to_string()
}

/// A server's UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Uuid {
    type Err = GtidError;

    /// Takes what MySQL takes: 8-4-4-4-12 hexadecimal digits in any case, or 32 without dashes, either in braces.
    fn from_str(text: &str) -> Result<Self, GtidError> {
        let bad = || GtidError::Uuid(shown(text));
        let bare = match text.strip_prefix('{') {
            Some(rest) => rest.strip_suffix('}').ok_or_else(bad)?,
            None => text,
        };
        let dashed = bare.len() == 36;
        if dashed
            && !bare
                .bytes()
                .enumerate()
                .all(|(i, b)| (b == b'-') == matches!(i, 8 | 13 | 18 | 23))
        {
            return Err(bad());
        }
        let mut uuid = [0; 16];
        let digits: String = if dashed { bare.replace('-', "") } else { bare.to_owned() };
        hex::decode_to_slice(digits, &mut uuid).map_err(|_| bad())?;
        Ok(Self(uuid))
    }
}

/// A GTID's tag; empty for a GTID without one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tag(Box<str>);

impl Tag {
    /// Checks a tag and puts it into lower case.
    ///
    /// # Errors
    /// [`GtidError::Tag`] if it is too long, or has a character that tags can't have. The empty tag is fine.
    pub fn new(text: &str) -> Result<Self, GtidError> {
        let starts_well = text.bytes().next().is_none_or(|b| b.is_ascii_alphabetic() || b == b'_');
        let goes_on_well = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !starts_well || !goes_on_well || text.len() > TAG_MAX_CHARS {
            return Err(GtidError::Tag(shown(text)));
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The tag of places in binlog files, see [`file_position`].
    pub fn file() -> Self {
        Self(file_position::TAG.into())
    }

    /// Whether this is [`Tag::file`].
    pub fn is_file(&self) -> bool {
        &*self.0 == file_position::TAG
    }

    /// As [`Tag::new`], or [`Tag::file`].
    fn read(text: &str) -> Result<Self, GtidError> {
        match text == file_position::TAG {
            true => Ok(Self::file()),
            false => Self::new(text),
        }
    }

    /// The tag's text; empty if there is none.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this stands for "no tag".
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identity of one transaction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gtid {
    /// The server that committed it first.
    pub uuid: Uuid,
    /// The tag the client gave it, or empty.
    pub tag: Tag,
    /// Its number at that server and tag, 1 to [`GNO_END`] - 1.
    pub gno: u64,
    /// It stands for all numbers from this one to `gno`: the same, save for a place in a binlog file.
    pub since: u64,
}

impl Gtid {
    /// A GTID as servers have them.
    pub fn new(uuid: Uuid, tag: Tag, gno: u64) -> Self {
        Self {
            uuid,
            tag,
            gno,
            since: gno,
        }
    }
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tag.is_empty() {
            write!(f, "{}:{}", self.uuid, self.gno)
        } else if self.tag.is_file() {
            write!(f, "{}:{}:{}", self.uuid, self.tag, FilePosition::from_number(self.gno))
        } else {
            write!(f, "{}:{}:{}", self.uuid, self.tag, self.gno)
        }
    }
}

impl FromStr for Gtid {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, GtidError> {
        let parts: Vec<&str> = text.split(':').map(str::trim).collect();
        let (uuid, tag, gno) = match parts.as_slice() {
            [uuid, gno] => (uuid, "", gno),
            [uuid, tag, gno] if !tag.is_empty() => (uuid, *tag, gno),
            _ => return Err(GtidError::Gtid(shown(text))),
        };
        let tag = Tag::read(tag)?;
        let gno = parse_gno(gno, &tag)?;
        Ok(Self::new(uuid.parse()?, tag, gno))
    }
}

fn parse_gno(text: &str, tag: &Tag) -> Result<u64, GtidError> {
    if tag.is_file() {
        let number = FilePosition::parse(text).and_then(FilePosition::number);
        return number.ok_or_else(|| GtidError::Number(shown(text)));
    }
    let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(gno) if digits_only && (1..GNO_END).contains(&gno) => Ok(gno),
        _ => Err(GtidError::Number(shown(text))),
    }
}

/// A set of GTIDs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GtidSet {
    /// No entry is empty; intervals are sorted, not empty, and don't touch.
    sources: BTreeMap<(Uuid, Tag), Vec<Range<u64>>>,
}

impl GtidSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the set holds no transaction.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// How many transactions the set holds.
    pub fn count(&self) -> u64 {
        let lengths = self.sources.values().flatten().map(|i| i.end - i.start);
        lengths.fold(0, u64::saturating_add)
    }

    /// Whether the transaction is in the set.
    pub fn contains(&self, gtid: &Gtid) -> bool {
        let Some(intervals) = self.sources.get(&(gtid.uuid, gtid.tag.clone())) else {
            return false;
        };
        let at = intervals.partition_point(|i| i.end <= gtid.gno);
        intervals.get(at).is_some_and(|i| i.start <= gtid.gno)
    }

    /// Adds one transaction.
    pub fn insert(&mut self, gtid: &Gtid) {
        self.insert_range(gtid.uuid, &gtid.tag, gtid.since..gtid.gno.saturating_add(1));
    }

    /// Adds the transactions of one source from `range.start` up to, not including, `range.end`. Numbers outside 1 to
    /// [`GNO_END`] - 1 do not exist and are left out.
    pub fn insert_range(&mut self, uuid: Uuid, tag: &Tag, range: Range<u64>) {
        let new = max(range.start, 1)..min(range.end, GNO_END);
        if new.is_empty() {
            return;
        }
        let intervals = self.sources.entry((uuid, tag.clone())).or_default();
        // All intervals that overlap or touch the new one melt into it.
        let first = intervals.partition_point(|i| i.end < new.start);
        let after = intervals.partition_point(|i| i.start <= new.end);
        let start = intervals.get(first).map_or(new.start, |i| min(i.start, new.start));
        let end = match after.checked_sub(1).and_then(|last| intervals.get(last)) {
            Some(last) => max(last.end, new.end),
            None => new.end,
        };
        intervals.splice(first..max(first, after), std::iter::once(start..end));
    }

    /// Adds every transaction of `other`.
    pub fn union(&mut self, other: &GtidSet) {
        for (uuid, tag, intervals) in other.iter() {
            for interval in intervals {
                self.insert_range(uuid, tag, interval.clone());
            }
        }
    }

    /// Takes away every transaction of `other`.
    pub fn subtract(&mut self, other: &GtidSet) {
        self.sources.retain(|source, intervals| {
            if let Some(taken) = other.sources.get(source) {
                *intervals = difference(intervals, taken);
            }
            !intervals.is_empty()
        });
    }

    /// Keeps only the transactions that `other` has too.
    pub fn intersect(&mut self, other: &GtidSet) {
        self.sources.retain(|source, intervals| {
            *intervals = match other.sources.get(source) {
                Some(kept) => common(intervals, kept),
                None => Vec::new(),
            };
            !intervals.is_empty()
        });
    }

    /// Whether `other` has every transaction of this set.
    pub fn is_subset_of(&self, other: &GtidSet) -> bool {
        self.sources.iter().all(|(source, intervals)| {
            let theirs = other.sources.get(source).map_or(&[][..], Vec::as_slice);
            // Intervals never touch, so one of ours must lie inside one of theirs.
            intervals.iter().all(|ours| {
                let at = theirs.partition_point(|i| i.end < ours.end);
                theirs.get(at).is_some_and(|i| i.start <= ours.start)
            })
        })
    }

    /// If this is a set of places in binlog files: whose, and up to where it has no gap.
    pub fn file_position(&self) -> Option<(Uuid, FilePosition)> {
        self.iter()
            .find(|(_, tag, _)| tag.is_file())
            .map(|(uuid, _, intervals)| {
                let first = intervals.first().filter(|interval| interval.start == 1);
                (
                    uuid,
                    FilePosition::from_number(first.map_or(0, |interval| interval.end - 1)),
                )
            })
    }

    /// Every source with its intervals, in the order MySQL prints them.
    pub fn iter(&self) -> impl Iterator<Item = (Uuid, &Tag, &[Range<u64>])> {
        self.sources
            .iter()
            .map(|((uuid, tag), intervals)| (*uuid, tag, intervals.as_slice()))
    }
}

/// What of `ours` is not in `taken`.
fn difference(ours: &[Range<u64>], taken: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut left = Vec::with_capacity(ours.len());
    let mut taken = taken.iter().peekable();
    for interval in ours {
        let mut start = interval.start;
        while let Some(hole) = taken.peek() {
            if hole.start >= interval.end {
                break;
            }
            if start < hole.start {
                left.push(start..hole.start);
            }
            start = max(start, hole.end);
            if hole.end > interval.end {
                break; // it may reach into our next interval
            }
            taken.next();
        }
        if start < interval.end {
            left.push(start..interval.end);
        }
    }
    left
}

/// What is in both.
fn common(ours: &[Range<u64>], theirs: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut both = Vec::new();
    let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
    while let (Some(a), Some(b)) = (ours.peek(), theirs.peek()) {
        let shared = max(a.start, b.start)..min(a.end, b.end);
        if !shared.is_empty() {
            both.push(shared);
        }
        if a.end <= b.end {
            ours.next();
        } else {
            theirs.next();
        }
    }
    both
}

impl fmt::Display for GtidSet {
    /// As `@@gtid_executed` reads, without its line breaks: `uuid:1-5:7:tag:3,uuid:1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut previous = None;
        for (uuid, tag, intervals) in self.iter() {
            if previous != Some(uuid) {
                let separator = if previous.is_some() { "," } else { "" };
                write!(f, "{separator}{uuid}")?;
                previous = Some(uuid);
            }
            if !tag.is_empty() {
                write!(f, ":{tag}")?;
            }
            for interval in intervals {
                let last = interval.end - 1;
                if tag.is_file() {
                    let (from, to) = (
                        FilePosition::from_number(interval.start),
                        FilePosition::from_number(last),
                    );
                    // Sets are written with every transaction, so they are kept short.
                    match from.file == to.file {
                        true if from == to => write!(f, ":{from}")?,
                        true => write!(f, ":{from}-{}", to.offset)?,
                        false => write!(f, ":{from}-{to}")?,
                    }
                } else if interval.start == last {
                    write!(f, ":{last}")?;
                } else {
                    write!(f, ":{}-{last}", interval.start)?;
                }
            }
        }
        Ok(())
    }
}

impl FromStr for GtidSet {
    type Err = GtidError;

    /// Reads what servers print and people write: any case, spaces and line breaks between the parts, several
    /// entries for one UUID, overlapping intervals.
    fn from_str(text: &str) -> Result<Self, GtidError> {
        let mut set = GtidSet::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let mut parts = entry.split(':').map(str::trim);
            let mut before = parts.next().unwrap_or_default();
            let uuid: Uuid = before.parse()?;
            let mut tag = Tag::default();
            let mut numbers_due = true;
            for part in parts {
                if part.bytes().next().is_none_or(|b| b.is_ascii_digit()) {
                    set.insert_range(uuid, &tag, parse_interval(part, &tag)?);
                    numbers_due = false;
                } else {
                    if numbers_due && !tag.is_empty() {
                        return Err(GtidError::NoNumbers(shown(before)));
                    }
                    tag = Tag::read(part)?;
                    numbers_due = true;
                }
                before = part;
            }
            if numbers_due {
                return Err(GtidError::NoNumbers(shown(before)));
            }
        }
        Ok(set)
    }
}

fn parse_interval(text: &str, tag: &Tag) -> Result<Range<u64>, GtidError> {
    let (first, last) = match text.split_once('-') {
        // The end is in the same file.
        Some((first, last)) if tag.is_file() && !last.contains('.') => {
            let file = first.split_once('.').map_or("", |(file, _)| file);
            (parse_gno(first, tag)?, parse_gno(&format!("{file}.{last}"), tag)?)
        }
        Some((first, last)) => (parse_gno(first.trim(), tag)?, parse_gno(last.trim(), tag)?),
        None => {
            let only = parse_gno(text, tag)?;
            (only, only)
        }
    };
    if last < first {
        return Err(GtidError::Backwards(shown(text)));
    }
    Ok(first..last + 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn sets_read_and_print_as_mysql_prints_them() {
        let check = |text: &str, expected: &str| {
            let text = text.replace('A', A).replace('B', B);
            let expected = expected.replace('A', A).replace('B', B);
            let set: GtidSet = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(set.to_string(), expected, "{text}");
            assert_eq!(expected.parse::<GtidSet>().unwrap(), set);
        };
        check("", "");
        check(" \n", "");
        check("A:1", "A:1");
        check("A:1-5:7", "A:1-5:7");
        check("A:7:1-3:4-5", "A:1-5:7");
        check("B:1,\nA:1-2", "A:1-2,B:1");
        check(",A : 1 - 3 ,, A:2-9,", "A:1-9");
        check("A:1-3:tag:5:7-9", "A:1-3:tag:5:7-9");
        check("A:tag:5,A:1-3,B:Zz_1:2", "A:1-3:tag:5,B:zz_1:2");
        check("A:b:1:a:2:3", "A:a:2-3:b:1");
        check("A:9223372036854775806", "A:9223372036854775806");
        let upper = A.to_uppercase();
        assert_eq!(
            format!("{upper}:1").parse::<GtidSet>().unwrap().to_string(),
            format!("{A}:1")
        );
        let bare = format!("{{{}}}:1", A.replace('-', ""));
        assert_eq!(bare.parse::<GtidSet>().unwrap().to_string(), format!("{A}:1"));
    }

    #[test]
    fn bad_sets_say_what_is_wrong() {
        let check = |text: &str, expected: &str| {
            let error = text.replace('A', A).parse::<GtidSet>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("hello", "'hello' is not a server UUID");
        check("3e11fa47-71ca-11e1-9e33-c80aa942956é:1", "is not a server UUID");
        check("{A:1", "is not a server UUID");
        check("3e11fa4771ca-11e1-9e33-c80aa9429562-:1", "is not a server UUID");
        check("A", "no transaction numbers follow '3e11fa47");
        check("A:tag", "no transaction numbers follow 'tag'");
        check("A:tag:other:1", "no transaction numbers follow 'tag'");
        check("A:0", "'0' is not a transaction number");
        check("A:9223372036854775807", "is not a transaction number");
        check("A:99999999999999999999999", "is not a transaction number");
        check("A:1-", "'' is not a transaction number");
        check("A:1-+3", "'+3' is not a transaction number");
        check("A::1", "'' is not a transaction number");
        check("A:5-3", "'5-3' ends before it starts");
        check("A:täg:1", "is not a GTID tag");
        check("A:abcdefghijabcdefghijabcdefghijabc:1", "is not a GTID tag");
    }

    #[test]
    fn single_gtids_read_and_print() {
        for text in [format!("{A}:7"), format!("{A}:tag:7")] {
            assert_eq!(text.parse::<Gtid>().unwrap().to_string(), text);
        }
        for text in [
            "",
            A,
            &format!("{A}:1-2"),
            &format!("{A}:1:2"),
            &format!("{A}::2"),
            &format!("{A}:a:b:2"),
        ] {
            assert!(text.parse::<Gtid>().is_err(), "{text}");
        }
    }

    /// A set the slow way: every transaction by itself, of two sources.
    fn model_of(set: &GtidSet) -> BTreeSet<(Uuid, Tag, u64)> {
        let mut all = BTreeSet::new();
        for (uuid, tag, intervals) in set.iter() {
            for gno in intervals.iter().cloned().flatten() {
                all.insert((uuid, tag.clone(), gno));
            }
        }
        all
    }

    fn some_set() -> impl Strategy<Value = GtidSet> {
        proptest::collection::vec((0..2u8, prop::bool::ANY, 1..40u64, 0..8u64), 0..12).prop_map(|ranges| {
            let mut set = GtidSet::new();
            for (source, tagged, start, length) in ranges {
                let tag = Tag::new(if tagged { "t" } else { "" }).unwrap();
                set.insert_range(Uuid([source; 16]), &tag, start..start + length);
            }
            set
        })
    }

    proptest! {
        #[test]
        fn the_algebra_agrees_with_plain_sets(a in some_set(), b in some_set()) {
            let (ma, mb) = (model_of(&a), model_of(&b));
            let mut union = a.clone();
            union.union(&b);
            prop_assert_eq!(model_of(&union), ma.union(&mb).cloned().collect());
            let mut difference = a.clone();
            difference.subtract(&b);
            prop_assert_eq!(model_of(&difference), ma.difference(&mb).cloned().collect());
            let mut both = a.clone();
            both.intersect(&b);
            prop_assert_eq!(model_of(&both), ma.intersection(&mb).cloned().collect());
            prop_assert_eq!(a.is_subset_of(&b), ma.is_subset(&mb));
            prop_assert!(both.is_subset_of(&a) && both.is_subset_of(&b) && a.is_subset_of(&union));
            prop_assert_eq!(a.count(), ma.len() as u64);
            prop_assert_eq!(a.is_empty(), ma.is_empty());
            for set in [&union, &difference, &both] {
                prop_assert_eq!(&set.to_string().parse::<GtidSet>().unwrap(), set);
                for (_, _, intervals) in set.iter() {
                    prop_assert!(!intervals.is_empty());
                    prop_assert!(intervals.windows(2).all(|w| w[0].end < w[1].start));
                }
            }
        }

        #[test]
        fn inserting_one_by_one_agrees_with_plain_sets(gnos in proptest::collection::vec(1..30u64, 0..40)) {
            let mut set = GtidSet::new();
            let mut model = BTreeSet::new();
            for gno in gnos {
                let gtid = Gtid::new(Uuid([1; 16]), Tag::default(), gno);
                prop_assert_eq!(set.contains(&gtid), model.contains(&gno));
                set.insert(&gtid);
                model.insert(gno);
                prop_assert!(set.contains(&gtid));
            }
            prop_assert_eq!(set.count(), model.len() as u64);
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in "[0-9a-f:,\\- {}_tT\u{e9}]{0,80}") {
            if let Ok(set) = text.parse::<GtidSet>() {
                prop_assert_eq!(set.to_string().parse::<GtidSet>().unwrap(), set);
            }
            if let Ok(gtid) = text.parse::<Gtid>() {
                prop_assert_eq!(gtid.to_string().parse::<Gtid>().unwrap(), gtid);
            }
        }
    }
}
