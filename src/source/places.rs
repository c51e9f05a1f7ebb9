//! Names the transactions of a source without GTIDs by their place in its binlog ([`crate::model::file_position`]), and
//! leaves out those that have been applied, as a server does that is asked by GTID.
//!
//! The head of a transaction says how long it is, so its end, which is its name, is known at once. Where each event ends
//! is counted here and checked against the event's header: what does not fit is not the binlog that was followed before,
//! or one that is not understood. GTIDs that a transaction may have do not matter.

use crate::{
    binlog::{
        event::{Event, EventType, Header},
        gtid_event::GtidEvent,
    },
    failure::Failure,
    model::{
        file_position::{self, FilePosition},
        gtid::{Gtid, GtidSet, Tag, Uuid},
    },
};

/// A file that is being read, and what tells it from another one of its name: after `RESET BINARY LOGS` names come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedFile {
    /// Its number.
    pub file: u32,
    /// Its name.
    pub name: String,
    /// When the server made it, in seconds since the Unix epoch.
    pub created: u32,
    /// When its first transaction was committed, in microseconds since the Unix epoch, if it has come.
    pub first_us: Option<u64>,
}

/// What becomes of an event.
#[derive(Debug)]
pub enum Placed {
    /// It goes on, with the name of its transaction.
    Event(Event),
    /// It belongs to a transaction that has been applied, or says nothing.
    Nothing,
    /// The log has nothing up to here: an empty transaction, which makes that known.
    Empty(GtidEvent),
}

/// Where the log is being read.
#[derive(Debug)]
pub struct Places {
    uuid: Uuid,
    applied: GtidSet,
    /// What stands before the numbers in the files' names.
    base: String,
    /// Where the last event ended.
    at: FilePosition,
    /// Where it began.
    event_begin: u64,
    /// Number of the last transaction.
    last: u64,
    /// Where it ends.
    end: FilePosition,
    /// It has been applied.
    skips: bool,
    /// When it was committed, or the file was made: microseconds since the epoch.
    time_us: u64,
    created: u32,
    /// The head of the file was the last that has been read.
    at_head: bool,
    opened: Option<OpenedFile>,
}

impl Places {
    /// The log of server `uuid` is read from `begin` in the file `name` on. What of it was `applied` reaches up to there
    /// without a gap, or further.
    ///
    /// # Errors
    /// [`Failure`] if the file's name has no number.
    pub fn new(uuid: Uuid, applied: GtidSet, name: &str, begin: u64) -> Result<Self, Failure> {
        let (base, file) = split_name(name)?;
        let at = FilePosition { file, offset: begin };
        let done = applied.file_position().map(|(_, end)| end);
        Ok(Self {
            uuid,
            base: base.to_owned(),
            at,
            event_begin: begin,
            last: done.and_then(FilePosition::number).unwrap_or_default(),
            end: at,
            skips: false,
            time_us: 0,
            created: 0,
            at_head: false,
            opened: None,
            applied,
        })
    }

    /// The file that is being read, if there is something new to know of it.
    pub fn opened(&mut self) -> Option<OpenedFile> {
        self.opened.take()
    }

    /// Where the last event ended in its file.
    pub fn offset(&self) -> u64 {
        self.at.offset
    }

    /// The file that is being read.
    pub fn name(&self) -> String {
        format!("{}.{:06}", self.base, self.at.file)
    }

    fn position(&self) -> String {
        format!("{}:{}", self.name(), self.at.offset)
    }

    /// An event has been read. Those that are unpacked from another one have no place of their own.
    ///
    /// # Errors
    /// [`Failure`] if it does not follow on the last one.
    pub fn read(&mut self, header: &Header) -> Result<(), Failure> {
        if header.event_type == EventType::FORMAT_DESCRIPTION {
            self.time_us = self.time_us.max(u64::from(header.timestamp) * 1_000_000);
            self.created = header.timestamp;
            self.open(None);
        }
        // What the server makes up for the replica stands in no file. A ROTATE says itself where it goes on.
        let has_place = !matches!(
            header.event_type,
            EventType::HEARTBEAT | EventType::HEARTBEAT_V2 | EventType::ROTATE
        );
        if !has_place || header.is_artificial() || header.end_log_pos == 0 {
            return Ok(());
        }
        let end = self.at.offset.saturating_add(u64::from(header.event_size));
        // 32 bits, which begin anew at 4 GiB: one large transaction can make a file longer than that.
        if end & u64::from(u32::MAX) != u64::from(header.end_log_pos) {
            return Err(self.unfit(&format!(
                "the next event has {} bytes and should end at {}",
                header.event_size, header.end_log_pos
            )));
        }
        (self.event_begin, self.at.offset) = (self.at.offset, end);
        Ok(())
    }

    /// What becomes of an event that has been read or unpacked.
    ///
    /// # Errors
    /// [`Failure`] if it can't be where it is.
    pub fn place(&mut self, event: Event) -> Result<Placed, Failure> {
        match event {
            Event::Rotate { next_file, position } => {
                self.rotate(&next_file, position)?;
                Ok(Placed::Event(Event::Rotate { next_file, position }))
            }
            // The last event of a file's head. Were the head in no transaction, nobody could tell that an empty file has
            // been read to its end.
            Event::PreviousGtids(_) => {
                self.at_head = true;
                let gtid = self.next(self.at)?;
                Ok(if self.skips {
                    Placed::Nothing
                } else {
                    Placed::Empty(GtidEvent {
                        gtid,
                        is_anonymous: false,
                        last_committed: 0,
                        sequence_number: 0,
                        immediate_commit_us: self.time_us,
                        original_commit_us: self.time_us,
                        transaction_length: None,
                    })
                })
            }
            Event::Gtid(mut event) => {
                let Some(length) = event.transaction_length else {
                    return Err(self.unfit("a transaction does not say how long it is, as MySQL's from 8.0.2 on do"));
                };
                self.complete(self.event_begin)?;
                self.time_us = event.immediate_commit_us;
                if std::mem::take(&mut self.at_head) {
                    self.open(Some(self.time_us));
                }
                (event.gtid, event.is_anonymous) = (
                    self.next(FilePosition {
                        offset: self.event_begin.saturating_add(length),
                        ..self.at
                    })?,
                    false,
                );
                Ok(self.unless_applied(Event::Gtid(event)))
            }
            Event::Stop => {
                self.complete(self.event_begin)?;
                self.end = self.at;
                Ok(Placed::Event(event))
            }
            Event::Heartbeat { .. } => Ok(Placed::Event(event)),
            event => Ok(self.unless_applied(event)),
        }
    }

    fn open(&mut self, first_us: Option<u64>) {
        self.opened = Some(OpenedFile {
            file: self.at.file,
            name: self.name(),
            created: self.created,
            first_us,
        });
    }

    fn unless_applied(&self, event: Event) -> Placed {
        match self.skips {
            true => Placed::Nothing,
            false => Placed::Event(event),
        }
    }

    /// The name of a transaction that ends at `end`.
    fn next(&mut self, end: FilePosition) -> Result<Gtid, Failure> {
        let Some(number) = end.number() else {
            return Err(self.unfit(
                "the file's number is above 16777215 or the file has more than 512 GiB, which is more than can be counted \
                 without GTIDs: set gtid_mode = ON at the source",
            ));
        };
        let gtid = Gtid {
            uuid: self.uuid,
            tag: Tag::file(),
            gno: number,
            since: self.last.saturating_add(1).min(number),
        };
        self.skips = self.applied.contains(&gtid);
        (self.last, self.end) = (self.last.max(number), end);
        Ok(gtid)
    }

    /// Something else begins at `offset`: the last transaction has ended there.
    fn complete(&self, offset: u64) -> Result<(), Failure> {
        match self.end.offset == offset {
            true => Ok(()),
            false => Err(self.unfit(&format!("the last transaction should end at {}", self.end.offset))),
        }
    }

    fn rotate(&mut self, name: &str, position: u64) -> Result<(), Failure> {
        let (base, file) = split_name(name)?;
        if base != self.base || (file != self.at.file && file != self.at.file + 1) {
            return Err(Failure::data(format!(
                "the source's binlog goes on in {name} behind {}: RESET BINARY LOGS has been run, or its files have been \
                 replaced, so changes may be missing. Start the task anew with full sync",
                self.position()
            )));
        }
        if file != self.at.file {
            self.complete(self.at.offset)?;
            self.at = FilePosition { file, offset: position };
            self.end = self.at;
            self.at_head = false;
        }
        Ok(())
    }

    fn unfit(&self, what: &str) -> Failure {
        Failure::data(format!(
            "the source's binlog at {} is not as it was, or is not understood: {what}. Nothing behind it has been applied; \
             start the task anew with full sync",
            self.position()
        ))
    }
}

fn split_name(name: &str) -> Result<(&str, u32), Failure> {
    file_position::split_name(name).ok_or_else(|| {
        Failure::data(format!(
            "the name of the source's binlog file {name} does not end in a number, so it can't be followed without GTIDs"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binlog::gtid_event;

    const SERVER: Uuid = Uuid([7; 16]);

    /// A log that is read: each event has a size, and ends where it should.
    struct Log {
        places: Places,
        offset: u64,
    }

    fn log(applied: &str, begin: u64) -> Log {
        let applied: GtidSet = format!("{SERVER}:@file:{applied}").parse().unwrap();
        Log {
            places: Places::new(SERVER, applied, "binlog.000007", begin).unwrap(),
            offset: begin,
        }
    }

    fn header(event_type: EventType, size: u32, end: u64) -> Header {
        Header {
            timestamp: 1000,
            event_type,
            server_id: 1,
            event_size: size,
            end_log_pos: u32::try_from(end & u64::from(u32::MAX)).unwrap(),
            flags: 0,
        }
    }

    impl Log {
        fn event(&mut self, event_type: EventType, size: u32, event: Event) -> Result<Placed, Failure> {
            self.offset += u64::from(size);
            self.places.read(&header(event_type, size, self.offset))?;
            self.places.place(event)
        }

        /// A transaction of `length` bytes; its name, if it goes on.
        fn transaction(&mut self, length: u64) -> Option<String> {
            let mut head = gtid_event::untagged(&[0; 25], true).unwrap();
            head.transaction_length = Some(length);
            let placed = self.event(EventType::ANONYMOUS_GTID, 50, Event::Gtid(head)).unwrap();
            let body = u32::try_from(length - 50).unwrap();
            let end = self.event(EventType::XID, body, Event::Xid { xid: 1 }).unwrap();
            match (placed, end) {
                (Placed::Event(Event::Gtid(head)), Placed::Event(Event::Xid { .. })) => {
                    assert!(!head.is_anonymous);
                    Some(format!(
                        "{}-{}",
                        FilePosition::from_number(head.gtid.since),
                        FilePosition::from_number(head.gtid.gno)
                    ))
                }
                (Placed::Nothing, Placed::Nothing) => None,
                other => panic!("{other:?}"),
            }
        }

        fn rotate(&mut self, name: &str) -> Result<Placed, Failure> {
            self.offset = 4;
            self.places.place(Event::Rotate {
                next_file: name.to_owned(),
                position: 4,
            })
        }

        /// The head of a file; its name, if it goes on.
        fn head(&mut self) -> Option<String> {
            self.offset += 100;
            let format = header(EventType::FORMAT_DESCRIPTION, 100, self.offset);
            self.places.read(&format).unwrap();
            match self.event(EventType::PREVIOUS_GTIDS, 50, Event::PreviousGtids(GtidSet::new())) {
                Ok(Placed::Empty(head)) => Some(format!(
                    "{}-{}",
                    FilePosition::from_number(head.gtid.since),
                    FilePosition::from_number(head.gtid.gno)
                )),
                Ok(Placed::Nothing) => None,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn transactions_are_named_by_their_places_without_gaps() {
        let mut log = log("000000.1-000007.500", 500);
        let name = |text: &str| Some(text.to_owned());
        assert_eq!(log.transaction(300), name("000007.501-000007.800"));
        assert_eq!(log.transaction(200), name("000007.801-000007.1000"));
        log.event(EventType::STOP, 23, Event::Stop).unwrap();
        log.rotate("binlog.000008").unwrap();
        // The server says it twice.
        log.rotate("binlog.000008").unwrap();
        assert_eq!(log.head(), name("000007.1001-000008.154"));
        let opened = log.places.opened().unwrap();
        assert_eq!(
            (opened.file, opened.name.as_str(), opened.created),
            (8, "binlog.000008", 1000)
        );
        assert_eq!(opened.first_us, None);
        assert_eq!(log.places.opened(), None);
        assert_eq!(log.transaction(100), name("000008.155-000008.254"));
        assert!(log.places.opened().is_some_and(|opened| opened.first_us.is_some()));
        assert_eq!(log.transaction(100), name("000008.255-000008.354"));
        assert_eq!(log.places.opened(), None);
    }

    #[test]
    fn what_has_been_applied_is_left_out_and_counts_all_the_same() {
        let mut log = log("000000.1-000007.500:000007.801-1000", 500);
        assert_eq!(log.transaction(300).as_deref(), Some("000007.501-000007.800"));
        assert_eq!(log.transaction(200), None);
        assert_eq!(log.transaction(100).as_deref(), Some("000007.1001-000007.1100"));
        // From the start of the file, as its position is beyond what can be asked for.
        let mut log = self::log("000000.1-000007.354", 4);
        assert_eq!(log.head(), None);
        assert_eq!(log.transaction(200), None);
        assert_eq!(log.transaction(200).as_deref(), Some("000007.355-000007.554"));
    }

    #[test]
    fn positions_beyond_4_gib_are_counted() {
        let begin = u64::from(u32::MAX) - 99;
        let mut log = log(&format!("000000.1-000007.{begin}"), begin);
        assert_eq!(
            log.transaction(300).as_deref(),
            Some("000007.4294967197-000007.4294967496")
        );
        assert_eq!(log.places.offset(), begin + 300);
    }

    #[test]
    fn a_log_that_does_not_fit_is_refused() {
        let refused = |result: Result<Placed, Failure>, expected: &str| {
            let failure = result.unwrap_err();
            assert!(failure.message.contains(expected), "{failure}");
        };
        let fresh = || log("000000.1-000007.500", 500);
        refused(fresh().rotate("binlog.000001"), "RESET BINARY LOGS");
        refused(fresh().rotate("binlog.000009"), "RESET BINARY LOGS");
        refused(fresh().rotate("other.000008"), "RESET BINARY LOGS");
        refused(fresh().rotate("binlog"), "does not end in a number");
        let mut moved = fresh();
        moved.offset = 501;
        refused(moved.event(EventType::STOP, 23, Event::Stop), "should end at 524");
        let mut cut = fresh();
        let mut head = gtid_event::untagged(&[0; 25], true).unwrap();
        refused(
            cut.event(EventType::GTID, 50, Event::Gtid(head.clone())),
            "how long it is",
        );
        let mut cut = fresh();
        head.transaction_length = Some(300);
        cut.event(EventType::GTID, 50, Event::Gtid(head.clone())).unwrap();
        refused(cut.rotate("binlog.000008"), "should end at 800");
        let mut long = fresh();
        head.transaction_length = Some(1 << 39);
        refused(long.event(EventType::GTID, 50, Event::Gtid(head)), "512 GiB");
    }
}
