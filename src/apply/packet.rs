//! What an applier sends for a batch: packets of several statements, what each statement must report, and what the
//! answers say.

use std::{sync::Arc, time::Duration};

use crate::{
    binlog::BinlogError,
    model::{
        change::{Mode, Target},
        name::TableName,
        row::Row,
    },
    schedule::fold::TableBatch,
    sql::set,
};

use super::session::{Outcome, is_duplicate, is_lock_failure};

/// A statement takes in no more rows than this, or than come to [`STATEMENT_BYTES`].
const STATEMENT_ROWS: usize = 1000;
const STATEMENT_BYTES: usize = 1 << 20;
/// Statements go together in one packet up to this many bytes. What is sent is in memory three times over.
const PACKET_BYTES: usize = 1 << 20;
/// So many go to a server whose answers take [`FAR_WAY`], as each packet is waited for.
const FAR_PACKET_BYTES: usize = 4 << 20;
const FAR_WAY: Duration = Duration::from_millis(5);
/// Of a packet, for what ends it.
const END_BYTES: usize = 64;
/// Times as long as its rows' images a statement may be, or nearly so: bytes are written as hexadecimal digits, and updates
/// and deletes carry the before image, too. It says what fits a server that takes short packets only.
const TEXT_PER_IMAGE: usize = 4;
/// Memory for statements that is kept, at most.
const KEPT_BYTES: usize = 2 << 20;

/// What a plan's first statement is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start<'a> {
    /// It writes the checkpoint row. A transaction begins with it.
    Checkpoint(&'a [u8]),
    /// It is this SAVEPOINT, for what is done again if it does not hold.
    Savepoint(&'static str),
    /// There is none.
    Nothing,
}

#[derive(Debug)]
enum Expect {
    Checkpoint,
    Savepoint,
    /// The table at this place must report this many rows.
    Rows(usize, u64),
    /// A statement on the table at this place that may report any number.
    Table(usize),
    /// The server's own check of the statement before ([`set::check`]).
    Checked,
    Commit,
}

/// What the answers to a packet say.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Each statement has reported what it must. What the packet commits is committed.
    Holds,
    /// Before images of the tables at these places did not hold, or a unique value is taken. Nothing is committed.
    Differs(Vec<usize>),
    /// The checkpoint row is another process's.
    Fenced,
    /// A deadlock or a lock wait.
    Locked(mysql_async::Error),
    /// The table at this place can't be written to.
    Refused(usize, mysql_async::Error),
    /// The error came while this was done. At COMMIT, or when the connection was lost under a packet that commits, the
    /// outcome is open.
    Failed(&'static str, mysql_async::Error),
    /// Committed, although before images did not hold.
    Unchecked,
}

/// Statements that are sent together.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) text: Vec<u8>,
    expectations: Vec<Expect>,
}

impl Packet {
    /// Whether it holds more than what it starts with.
    fn writes(&self) -> bool {
        let of_a_table = |expectation: &Expect| matches!(expectation, Expect::Rows(..) | Expect::Table(_));
        self.expectations.iter().any(of_a_table)
    }

    pub(super) fn commits(&self) -> bool {
        matches!(self.expectations.last(), Some(Expect::Commit))
    }

    pub(super) fn judge(&self, outcome: Outcome) -> Verdict {
        let mut differs = Vec::new();
        for (rows, expectation) in outcome.rows.iter().zip(&self.expectations) {
            match expectation {
                Expect::Checkpoint if *rows != 1 => return Verdict::Fenced,
                Expect::Rows(table, expected) if rows != expected => differs.push(*table),
                _ => {}
            }
        }
        let Some(error) = outcome.error else {
            return match differs.is_empty() {
                true => Verdict::Holds,
                false if self.commits() => Verdict::Unchecked,
                false => Verdict::Differs(differs),
            };
        };
        if !matches!(error, mysql_async::Error::Server(_)) {
            return Verdict::Failed("applying changes", error);
        }
        match self.expectations.get(outcome.rows.len()) {
            Some(Expect::Commit) => Verdict::Failed("committing", error),
            // That is what made the server stop.
            Some(Expect::Checked) if !differs.is_empty() => Verdict::Differs(differs),
            _ if is_lock_failure(&error) => Verdict::Locked(error),
            Some(Expect::Rows(table, _) | Expect::Table(table)) if is_duplicate(&error) => {
                differs.push(*table);
                Verdict::Differs(differs)
            }
            Some(Expect::Rows(table, _) | Expect::Table(table)) => Verdict::Refused(*table, error),
            Some(Expect::Checked) => Verdict::Failed("checking what was written", error),
            Some(Expect::Savepoint) => Verdict::Failed("setting a savepoint", error),
            Some(Expect::Checkpoint) | None => Verdict::Failed("writing the checkpoint", error),
        }
    }
}

/// How long packets and statements become.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lengths {
    packet_bytes: usize,
    statement_bytes: usize,
    /// What the server takes.
    most_bytes: usize,
}

impl Lengths {
    /// For a server that takes packets of less than `max_packet` bytes, with this way there and back.
    pub(super) fn of(max_packet: usize, round_trip: Duration) -> Self {
        let packet_bytes = match round_trip < FAR_WAY {
            true => PACKET_BYTES,
            false => FAR_PACKET_BYTES,
        };
        let most_bytes = max_packet.saturating_sub(END_BYTES);
        Self {
            most_bytes,
            packet_bytes: packet_bytes.min(most_bytes),
            statement_bytes: STATEMENT_BYTES.min(max_packet / TEXT_PER_IMAGE),
        }
    }
}

/// The packets that write a batch.
#[derive(Debug)]
pub(super) struct Plan {
    packets: Vec<Packet>,
    /// Of the tables that are written: their places, and what they are called.
    tables: Vec<(usize, Arc<Target>)>,
    /// It ends with COMMIT, so the server checks what its statements report.
    commits: bool,
    lengths: Lengths,
}

impl Plan {
    /// `buffer` becomes the first packet.
    pub(super) fn new(start: Start<'_>, mut buffer: Vec<u8>, commits: bool, lengths: Lengths) -> Self {
        buffer.clear();
        let mut packet = Packet {
            text: buffer,
            expectations: vec![],
        };
        match start {
            Start::Nothing => {}
            Start::Savepoint(savepoint) => {
                packet.text.extend_from_slice(savepoint.as_bytes());
                packet.expectations.push(Expect::Savepoint);
            }
            Start::Checkpoint(update) => {
                packet.text.extend_from_slice(update);
                packet.expectations.push(Expect::Checkpoint);
                if commits {
                    packet.text.push(b';');
                    set::check(&mut packet.text, 1);
                    packet.expectations.push(Expect::Checked);
                }
            }
        }
        Self {
            packets: vec![packet],
            tables: vec![],
            commits,
            lengths,
        }
    }

    pub(super) fn commits(&self) -> bool {
        self.commits
    }

    /// Adds the COMMIT that ends it, if one does.
    pub(super) fn finish(&mut self) {
        if let Some(packet) = self.packets.last_mut().filter(|_| self.commits) {
            if !packet.text.is_empty() {
                packet.text.push(b';');
            }
            packet.text.extend_from_slice(b"COMMIT");
            packet.expectations.push(Expect::Commit);
        }
    }

    pub(super) fn packets(&self) -> impl Iterator<Item = &Packet> {
        self.packets.iter().filter(|packet| !packet.expectations.is_empty())
    }

    /// The table at this place.
    pub(super) fn table(&self, place: usize) -> Option<&TableName> {
        let table = self.tables.iter().find(|(table, _)| *table == place);
        table.map(|(_, target)| &target.table.name)
    }

    /// The first packet's memory, if it is of a size that may be kept.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        let first = self.packets.into_iter().next();
        let kept = first
            .map(|packet| packet.text)
            .filter(|text| text.capacity() <= KEPT_BYTES);
        kept.unwrap_or_default()
    }

    /// Adds the statements that write a table's changes; it is at this place of the batch.
    ///
    /// # Errors
    /// If a row image is malformed.
    pub(super) fn add_table(&mut self, place: usize, table: &TableBatch<'_>) -> Result<(), BinlogError> {
        self.tables.push((place, table.target.clone()));
        let target = &**table.target;
        let partial = target.leaves_out();
        let statement_bytes = self.lengths.statement_bytes;
        for rows in chunks(&table.deletes, statement_bytes, |row| row.image.len()) {
            self.add(place, true, |out| match target.mode {
                Mode::Strict => set::delete(out, target, rows),
                Mode::Tolerant => set::delete_by_key(out, target, rows),
            })?;
        }
        // Decoded values take more memory than the images, so not all are there at a time.
        for updates in table.updates.chunks(STATEMENT_ROWS) {
            for (changed, updates) in by_changed_columns(target, updates)? {
                for rows in chunks(&updates, statement_bytes, |update| update.bytes) {
                    self.add(place, true, |out| set::update(out, target, rows, &changed))?;
                }
            }
        }
        for rows in chunks(&table.inserts, statement_bytes, |row| row.image.len()) {
            // It takes all its rows or fails: there is nothing to check.
            self.add(place, false, |out| match target.mode {
                Mode::Strict => set::insert(out, target, rows),
                Mode::Tolerant if partial => set::upsert(out, target, rows),
                Mode::Tolerant => set::replace(out, target, rows),
            })?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        table: usize,
        checked: bool,
        write: impl FnOnce(&mut Vec<u8>) -> Result<set::Expected, BinlogError>,
    ) -> Result<(), BinlogError> {
        let Some(packet) = self.packets.last_mut() else {
            return Ok(());
        };
        let before = packet.text.len();
        if before > 0 {
            packet.text.push(b';');
        }
        let begin = packet.text.len();
        let expected = write(&mut packet.text)?;
        let mut expectations = vec![expected.map_or(Expect::Table(table), |rows| Expect::Rows(table, rows))];
        if let Some(rows) = expected.filter(|_| checked && self.commits) {
            packet.text.push(b';');
            set::check(&mut packet.text, rows);
            expectations.push(Expect::Checked);
        }
        // What it starts with has no round trip of its own.
        let most_bytes = match packet.writes() {
            true => self.lengths.packet_bytes,
            false => self.lengths.most_bytes,
        };
        if before == 0 || packet.text.len() <= most_bytes {
            packet.expectations.append(&mut expectations);
            return Ok(());
        }
        let text = packet.text.split_off(begin);
        packet.text.truncate(before);
        self.packets.push(Packet { text, expectations });
        Ok(())
    }
}

/// Runs of rows that fit one statement.
fn chunks<T>(mut rows: &[T], most_bytes: usize, bytes_of: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut bytes = 0usize;
        let fits = |row: &&T| {
            bytes = bytes.saturating_add(bytes_of(row));
            bytes <= most_bytes
        };
        let count = rows.iter().take(STATEMENT_ROWS).take_while(fits).count();
        let (chunk, rest) = rows.split_at_checked(count.max(1))?;
        rows = rest;
        Some(chunk)
    })
}

type ByColumns<'r> = Vec<(Vec<usize>, Vec<set::Update<'r>>)>;

/// Updates that set the same columns go together. One that sets nothing (only columns that are not carried differ) is
/// left out.
fn by_changed_columns<'r>(target: &Target, updates: &[(&'r Row, &'r Row)]) -> Result<ByColumns<'r>, BinlogError> {
    let mut groups: ByColumns<'r> = Vec::new();
    for (before, after) in updates {
        let update = set::Update::read(target, before, after)?;
        let changed = set::changed_columns(target, &update);
        if changed.is_empty() {
            continue;
        }
        match groups.iter_mut().find(|(columns, _)| *columns == changed) {
            Some((_, updates)) => updates.push(update),
            None => groups.push((changed, vec![update])),
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKPOINT: &[u8] = b"UPDATE slot";
    fn near(max_packet: usize) -> Lengths {
        Lengths::of(max_packet, Duration::ZERO)
    }

    /// A plan that writes two rows to the table at place 7 and any number to that at place 8.
    fn plan(commits: bool) -> Plan {
        let mut plan = Plan::new(Start::Checkpoint(CHECKPOINT), Vec::new(), commits, near(1 << 26));
        let statement = |text: &'static str, rows| {
            move |out: &mut Vec<u8>| {
                out.extend_from_slice(text.as_bytes());
                Ok(rows)
            }
        };
        plan.add(7, true, statement("UPDATE two", Some(2))).unwrap();
        plan.add(8, true, statement("REPLACE some", None)).unwrap();
        plan.finish();
        plan
    }

    fn outcome(rows: &[u64], code: Option<u16>) -> Outcome {
        let error = |code| {
            mysql_async::Error::Server(mysql_async::ServerError {
                code,
                message: String::new(),
                state: String::new(),
            })
        };
        Outcome {
            rows: rows.to_vec(),
            error: code.map(error),
            last: Duration::ZERO,
        }
    }

    fn verdict(commits: bool, rows: &[u64], code: Option<u16>) -> String {
        let plan = plan(commits);
        let packets: Vec<&Packet> = plan.packets().collect();
        assert_eq!(packets.len(), 1);
        match packets[0].judge(outcome(rows, code)) {
            Verdict::Refused(table, _) => format!("refused at {table}"),
            Verdict::Failed(doing, _) => doing.to_owned(),
            Verdict::Locked(_) => "locked".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_commits_is_checked_by_the_server_statement_for_statement() {
        let text = |commits| {
            let plan = plan(commits);
            let packets: Vec<&Packet> = plan.packets().collect();
            String::from_utf8(packets[0].text.clone()).unwrap()
        };
        assert_eq!(text(false), "UPDATE slot;UPDATE two;REPLACE some");
        assert_eq!(
            text(true),
            "UPDATE slot;DO IF(ROW_COUNT()=1,0,EXP(1000));UPDATE two;DO IF(ROW_COUNT()=2,0,EXP(1000));REPLACE some;COMMIT"
        );
        let mut empty = Plan::new(Start::Nothing, Vec::new(), true, near(1 << 26));
        empty.finish();
        let packets: Vec<&Packet> = empty.packets().collect();
        assert_eq!(packets[0].text, b"COMMIT");
        assert_eq!(
            Plan::new(Start::Nothing, Vec::new(), false, near(1 << 26))
                .packets()
                .count(),
            0
        );
        let savepoint = Plan::new(Start::Savepoint("SAVEPOINT part"), Vec::new(), false, near(1 << 26));
        assert_eq!(savepoint.packets().next().unwrap().text, b"SAVEPOINT part");
    }

    #[test]
    fn a_statement_that_does_not_fit_goes_into_a_packet_of_its_own_with_its_check() {
        for (max, length) in [(1 << 26, PACKET_BYTES - 100), (1 << 16, 40_000)] {
            let mut plan = Plan::new(Start::Checkpoint(CHECKPOINT), Vec::new(), true, near(max));
            for _ in 0..2 {
                plan.add(0, true, |out| {
                    out.resize(out.len() + length, b' ');
                    Ok(Some(1))
                })
                .unwrap();
            }
            plan.finish();
            let packets: Vec<&Packet> = plan.packets().collect();
            let ends: Vec<bool> = packets.iter().map(|packet| packet.commits()).collect();
            assert_eq!(ends, [false, true]);
            for packet in packets {
                let statements = packet.expectations.iter().filter(|e| matches!(e, Expect::Rows(..)));
                assert_eq!(statements.count(), 1);
                assert!(packet.text.windows(18).any(|text| text == b"IF(ROW_COUNT()=1,0"));
                assert!(packet.text.len() < max);
            }
        }
    }

    #[test]
    fn the_first_statement_goes_with_the_checkpoint_row_however_long_it_is() {
        let packets = |max: usize, length: usize| {
            let mut plan = Plan::new(Start::Checkpoint(CHECKPOINT), Vec::new(), true, near(max));
            plan.add(0, false, |out| {
                out.resize(out.len() + length, b' ');
                Ok(None)
            })
            .unwrap();
            plan.finish();
            plan.packets().count()
        };
        assert_eq!(packets(1 << 26, 2 << 20), 1);
        assert_eq!(packets(1 << 20, (1 << 20) - 100), 2, "the server takes no longer ones");
    }

    #[test]
    fn rows_are_cut_into_statements_by_number_and_bytes() {
        let cut = |rows: &[usize]| chunks(rows, 10, |bytes| *bytes).map(<[usize]>::len).collect::<Vec<_>>();
        assert_eq!(cut(&[]), [0; 0]);
        assert_eq!(cut(&[5, 5, 1, 11, 30, 2]), [2, 1, 1, 1, 1]);
        assert_eq!(cut(&[0; 2001]), [1000, 1000, 1]);
    }

    #[test]
    fn packets_to_a_server_far_away_are_longer_and_those_to_one_that_takes_short_ones_never() {
        let of = |max, millis| Lengths::of(max, Duration::from_millis(millis)).packet_bytes;
        assert_eq!((of(1 << 26, 0), of(1 << 26, 50)), (1 << 20, 4 << 20));
        assert!(of(1 << 16, 0) < 1 << 16 && of(1 << 16, 50) < 1 << 16);
    }

    #[test]
    fn a_lost_connection_says_nothing_of_the_statement_it_was_lost_at() {
        let plan = plan(true);
        let mut lost = outcome(&[1, 0], None);
        lost.error = Some(mysql_async::Error::Driver(mysql_async::DriverError::ConnectionClosed));
        let packet = plan.packets().next().unwrap();
        assert!(matches!(packet.judge(lost), Verdict::Failed("applying changes", _)));
    }

    #[test]
    fn counts_and_errors_say_what_has_happened() {
        // Checkpoint, two rows, any number.
        assert_eq!(verdict(false, &[1, 2, 5], None), "Holds");
        assert_eq!(verdict(false, &[1, 1, 5], None), "Differs([7])");
        assert_eq!(verdict(false, &[0, 2, 5], None), "Fenced");
        assert_eq!(verdict(false, &[1], Some(1062)), "Differs([7])");
        assert_eq!(verdict(false, &[1], Some(1213)), "locked");
        assert_eq!(verdict(false, &[1], Some(1048)), "refused at 7");
        assert_eq!(verdict(false, &[1, 2], Some(1048)), "refused at 8");
        assert_eq!(verdict(false, &[], Some(1048)), "writing the checkpoint");
        // With checks between, and COMMIT.
        assert_eq!(verdict(true, &[1, 0, 2, 0, 5, 0], None), "Holds");
        assert_eq!(verdict(true, &[1, 0, 1], Some(1690)), "Differs([7])");
        assert_eq!(verdict(true, &[0], Some(1690)), "Fenced");
        assert_eq!(verdict(true, &[1, 0, 2], Some(1317)), "checking what was written");
        assert_eq!(verdict(true, &[1, 0, 2, 0], Some(1048)), "refused at 8");
        assert_eq!(verdict(true, &[1, 0, 2, 0, 5], Some(1213)), "committing");
        assert_eq!(verdict(true, &[1, 0, 1, 0, 5, 0], None), "Unchecked");
    }
}
