//! Places in binlog files as transaction numbers, for sources without GTIDs.
//!
//! A transaction of such a source has no name of its own, but a place: its events end at an offset of a file. Files are
//! numbered one after the other and only ever grow, so file and offset are one number that rises along the log. A
//! transaction is all numbers from behind the end of the one before it up to its own end ([`Gtid::since`]): what has been
//! read without a gap is one interval, and the end of the log (`SHOW BINARY LOG STATUS`) is the set of all that is in it.
//! So whatever is kept as a GTID set can be kept of such a source, too. The tag says which kind a set is of; no GTID of a
//! server has it, for it is none that a server would take.
//!
//! [`Gtid::since`]: super::gtid::Gtid::since

use std::fmt;

use super::gtid::{Gtid, GtidSet, Uuid};

/// The tag of these numbers.
pub const TAG: &str = "@file";

/// Of a number's 63 bits these tell the offset: files of up to 512 GiB. What is left tells 2^24 files.
const OFFSET_BITS: u32 = 39;

/// A place in a source's binlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePosition {
    /// The number at the end of the file's name.
    pub file: u32,
    /// Where in it.
    pub offset: u64,
}

impl FilePosition {
    /// As a transaction number; `None` if the file's number or the offset is too large.
    pub fn number(self) -> Option<u64> {
        let fits = self.file < 1 << (63 - OFFSET_BITS) && self.offset < 1 << OFFSET_BITS;
        fits.then_some((u64::from(self.file) << OFFSET_BITS) | self.offset)
    }

    /// What a transaction number says.
    pub fn from_number(number: u64) -> Self {
        Self {
            file: u32::try_from(number >> OFFSET_BITS).unwrap_or(u32::MAX),
            offset: number & ((1 << OFFSET_BITS) - 1),
        }
    }

    /// Reads what [`Self::fmt`] prints.
    pub fn parse(text: &str) -> Option<Self> {
        let (file, offset) = text.split_once('.')?;
        Some(Self {
            file: digits(file)?.try_into().ok()?,
            offset: digits(offset)?,
        })
    }
}

fn digits(text: &str) -> Option<u64> {
    let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits_only.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for FilePosition {
    /// `000007.1234`: the file's number as in its name, and the offset.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}.{}", self.file, self.offset)
    }
}

/// What stands before the number in the name of a binlog file, and the number: `binlog.000007`.
pub fn split_name(name: &str) -> Option<(&str, u32)> {
    let (base, number) = name.rsplit_once('.')?;
    Some((base, digits(number)?.try_into().ok()?))
}

/// How far a set of such numbers reaches without a gap, as operators know it: `binlog.000007:1234`. The set itself, if it
/// holds GTIDs.
pub fn shown(set: &GtidSet, base: &str) -> String {
    match set.file_position() {
        Some((_, end)) if !base.is_empty() => format!("{base}.{:06}:{}", end.file, end.offset),
        _ => set.to_string(),
    }
}

/// Whether a text that [`shown`] has made of a set says that it has the transaction.
pub fn shown_has(text: &str, gtid: &Gtid) -> bool {
    if let Ok(set) = text.parse::<GtidSet>() {
        return set.contains(gtid);
    }
    let place = || {
        let (name, offset) = text.rsplit_once(':')?;
        let (_, file) = split_name(name)?;
        let offset = digits(offset)?;
        FilePosition { file, offset }.number()
    };
    gtid.tag.is_file() && place().is_some_and(|end| gtid.gno <= end)
}

/// Everything in the log of the server `uuid` up to `end`; `None` as in [`FilePosition::number`].
pub fn up_to(uuid: Uuid, end: FilePosition) -> Option<GtidSet> {
    let mut set = GtidSet::new();
    set.insert_range(uuid, &super::gtid::Tag::file(), 1..end.number()?.checked_add(1)?);
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::gtid::Tag;

    const SERVER: Uuid = Uuid([7; 16]);

    fn at(file: u32, offset: u64) -> FilePosition {
        FilePosition { file, offset }
    }

    #[test]
    fn places_are_numbers_that_rise_along_the_log() {
        let check = |place: FilePosition, text: &str| {
            assert_eq!(place.to_string(), text);
            assert_eq!(FilePosition::parse(text), Some(place));
            assert_eq!(place.number().map(FilePosition::from_number), Some(place));
        };
        check(at(1, 4), "000001.4");
        check(at(7, 1234), "000007.1234");
        check(at(1_234_567, 5 << 32), "1234567.21474836480");
        check(at((1 << 24) - 1, (1 << 39) - 1), "16777215.549755813887");
        assert!(at(1, (1 << 39) - 1).number() < at(2, 4).number());
        assert_eq!(at(1 << 24, 4).number(), None);
        assert_eq!(at(1, 1 << 39).number(), None);
        for wrong in ["", "7", "7.", ".7", "7.-1", "+7.1", "7.1.1", "x.1"] {
            assert_eq!(FilePosition::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_of_files_end_in_their_number() {
        assert_eq!(split_name("binlog.000007"), Some(("binlog", 7)));
        assert_eq!(split_name("a.host.1234567"), Some(("a.host", 1_234_567)));
        for wrong in ["binlog", "binlog.", "binlog.index", "binlog.~rec~"] {
            assert_eq!(split_name(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn transactions_one_after_the_other_are_one_interval_and_those_beyond_a_gap_are_not() {
        let mut set = up_to(SERVER, at(7, 157)).unwrap();
        let transaction = |since: FilePosition, end: FilePosition| Gtid {
            uuid: SERVER,
            tag: Tag::file(),
            since: since.number().unwrap() + 1,
            gno: end.number().unwrap(),
        };
        set.insert(&transaction(at(7, 157), at(7, 400)));
        set.insert(&transaction(at(8, 157), at(8, 300)));
        let text = format!("{SERVER}:@file:000000.1-000007.400:000008.158-300");
        assert_eq!(set.to_string(), text);
        assert_eq!(text.parse::<GtidSet>().unwrap(), set);
        assert_eq!(set.file_position(), Some((SERVER, at(7, 400))));
        assert_eq!(shown(&set, "binlog"), "binlog.000007:400");
        // The head of file 8.
        set.insert(&transaction(at(7, 400), at(8, 157)));
        assert_eq!(shown(&set, "binlog"), "binlog.000008:300");
        assert!(up_to(SERVER, at(8, 300)).unwrap().is_subset_of(&set));
        assert!(!up_to(SERVER, at(8, 301)).unwrap().is_subset_of(&set));

        let gtid: Gtid = format!("{SERVER}:@file:000008.300").parse().unwrap();
        assert!(set.contains(&gtid));
        assert_eq!(gtid.to_string(), format!("{SERVER}:@file:000008.300"));
        assert!(shown_has("binlog.000008:300", &gtid) && !shown_has("binlog.000008:299", &gtid));
        assert!(shown_has(&set.to_string(), &gtid) && !shown_has("binlog", &gtid));
        assert!(!set.contains(&transaction(at(8, 300), at(8, 301))));
    }

    #[test]
    fn sets_of_gtids_have_no_place() {
        let gtids: GtidSet = format!("{SERVER}:1-7").parse().unwrap();
        assert_eq!(gtids.file_position(), None);
        assert_eq!(shown(&gtids, "binlog"), format!("{SERVER}:1-7"));
        let gtid: Gtid = format!("{SERVER}:7").parse().unwrap();
        assert!(shown_has(&gtids.to_string(), &gtid) && !shown_has("binlog.000008:300", &gtid));
        for wrong in [
            format!("{SERVER}:@file:7"),
            format!("{SERVER}:@file:000007.5-000007.4"),
            format!("{SERVER}:@file:000007.5-4"),
            format!("{SERVER}:@file"),
            format!("{SERVER}:7.5"),
            format!("{SERVER}:@other:7"),
        ] {
            assert!(wrong.parse::<GtidSet>().is_err(), "{wrong}");
        }
    }
}
