//! The two servers of a task as they are now: which of its hosts each is at, and that it still is the server that the task
//! has been reading and writing, or a replica that took its place.
//!
//! Both links of a task ask here before each attempt, and get the same answer: the definitions of both servers, pinned to
//! one host and one `server_uuid`, so that an attempt never speaks to two servers under one name. When the answer changes,
//! the link that still works with the old one starts over.
//!
//! What is asked of a server, in this order: it lets us in; if the task writes to it and it may be at several hosts, it is
//! not read-only; it is not a replica that still applies what it got from the server it stands in for; and for each link
//! that reads it, it has what the link has applied ([`crate::model::lineage`]). A host of a list that does not fit is
//! passed over. The host in use is tried first, so a list does not bring a task back to a host by itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mysql_async::{Conn, Row, prelude::Queryable};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    apply::{checkpoint::LinkKey, lineage},
    connect,
    failure::{Failure, Kind},
    model::{
        change::Site,
        gtid::GtidSet,
        lineage::Unfit,
        outage::Backoff,
        precheck::Verdict,
        server::{Address, InUse, ServerDefinition},
        status::{EventRecord, Level, State},
        task::Direction,
    },
    precheck,
    store::{ServerSeen, Store},
};

use super::{
    check,
    health::{Health, Retry, Servers, Use},
    status::LinkStatus,
};

/// How long transactions that are missing may still be on their way into `gtid_executed`: the binlog is sent to replicas
/// before a transaction is committed, and a semi-synchronous source waits in between.
const COMMIT_LIMIT: Duration = Duration::from_secs(10);
/// How often that is looked at.
const COMMIT_ASKED_EVERY: Duration = Duration::from_millis(200);
/// A host that lacks transactions ends the task when the others of its list have been out of reach for this many minutes.
const OTHERS_LIMIT_MINUTES: u32 = 1;

/// One of a task's two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The task's source.
    Source,
    /// The task's destination.
    Destination,
}

impl End {
    const BOTH: [End; 2] = [End::Source, End::Destination];

    /// Where the link of this direction reads.
    pub fn read_by(direction: Direction) -> Self {
        match direction {
            Direction::Forward => End::Source,
            Direction::Reverse => End::Destination,
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            End::Source => End::Destination,
            End::Destination => End::Source,
        }
    }

    /// This one's of a pair.
    pub fn of<T>(self, [source, destination]: &[T; 2]) -> &T {
        match self {
            End::Source => source,
            End::Destination => destination,
        }
    }

    fn of_mut<T>(self, [source, destination]: &mut [T; 2]) -> &mut T {
        match self {
            End::Source => source,
            End::Destination => destination,
        }
    }
}

/// The servers of a task: its source and its destination.
#[derive(Debug)]
pub struct Ends {
    task: String,
    /// The task as checkpoints name it.
    key: String,
    two_way: bool,
    servers: [ServerDefinition; 2],
    uses: [Use; 2],
    others_limit: Duration,
    store: Arc<Store>,
    chosen: Mutex<Option<Arc<Chosen>>>,
    generation: watch::Sender<u64>,
}

/// An answer.
#[derive(Debug)]
pub struct Chosen {
    generation: u64,
    /// Both servers, pinned.
    pub servers: [ServerDefinition; 2],
    /// What paths call them.
    pub sites: [Site; 2],
    /// What was found there.
    pub seen: [Seen; 2],
}

/// What was found at a server.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `@@server_uuid`.
    pub server_uuid: String,
    /// `@@lower_case_table_names`.
    pub lower_case_table_names: u8,
    /// It gives every transaction a GTID.
    pub gtids: bool,
    /// What it has executed.
    pub executed: GtidSet,
    version: String,
    read_only: bool,
    purged: GtidSet,
    site: Option<Site>,
}

/// A server at one of its hosts.
struct Seat {
    conn: Conn,
    pinned: ServerDefinition,
    seen: Seen,
}

/// What was found wrong with hosts that are passed over.
type PassedOver = Vec<(Address, String)>;

impl Ends {
    /// Of a task whose retry window is this long.
    pub fn new(
        all: &Servers,
        store: &Arc<Store>,
        [task, key]: [String; 2],
        two_way: bool,
        servers: [ServerDefinition; 2],
        window_minutes: u32,
    ) -> Self {
        let uses = servers
            .each_ref()
            .map(|server| all.health(&server.name).used(window_minutes));
        Self {
            task,
            key,
            two_way,
            servers,
            uses,
            others_limit: all.minute() * OTHERS_LIMIT_MINUTES,
            store: store.clone(),
            chosen: Mutex::new(None),
            generation: watch::channel(0).0,
        }
    }

    /// Waits until an answer does not hold any more.
    pub async fn moved(&self, chosen: &Chosen) {
        let mut generation = self.generation.subscribe();
        if generation.wait_for(|now| *now != chosen.generation).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Tries until both servers are reached; `true` if that was not at once. `None`: was stopped.
    ///
    /// # Errors
    /// [`Failure`] if a retry window has ended, or a server is not what it has to be.
    pub async fn reach(
        &self,
        statuses: &[Arc<LinkStatus>],
        stop: &CancellationToken,
    ) -> Result<Option<(Arc<Chosen>, bool)>, Failure> {
        let mut backoffs = [Backoff::default(); 2];
        let mut told_once = false;
        loop {
            let once = tokio::select! {
                once = self.once() => once,
                () = stop.cancelled() => return Ok(None),
            };
            let failure = match once {
                Ok(chosen) => return Ok(Some((chosen, told_once))),
                Err(failure) if failure.kind != Kind::Environment => return Err(failure),
                Err(failure) => failure,
            };
            let mut waiting: Option<(Duration, String, &Arc<Health>)> = None;
            for (used, backoff) in self.uses.iter().zip(&mut backoffs) {
                match used.health().retry(backoff) {
                    Some(Retry::Never(why)) => return Err(Failure::data(format!("{failure}. {why}"))),
                    Some(Retry::After { wait, told })
                        if waiting.as_ref().is_none_or(|(shortest, ..)| wait < *shortest) =>
                    {
                        waiting = Some((wait, told, used.health()));
                    }
                    _ => {}
                }
            }
            let Some((wait, told, health)) = waiting else {
                // Somebody else has reached it meanwhile.
                tokio::time::sleep(COMMIT_ASKED_EVERY).await;
                continue;
            };
            let message = format!("{failure}; {told}");
            if !std::mem::replace(&mut told_once, true) {
                self.tell(statuses, Level::Warning, message.clone()).await;
            }
            for status in statuses {
                status.enter(State::Retrying, Some(&message));
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = health.wait_reached() => {}
                () = stop.cancelled() => return Ok(None),
            }
        }
    }

    /// Looks at both servers.
    ///
    /// # Errors
    /// [`Failure`] if one is out of reach, or is not what it has to be.
    pub async fn once(&self) -> Result<Arc<Chosen>, Failure> {
        let mut chosen = self.chosen.lock().await;
        let mut passed_over: [PassedOver; 2] = Default::default();
        let [source, destination] = loop {
            let [over_source, over_destination] = &passed_over;
            let (source, destination) = tokio::join!(
                self.seat(End::Source, chosen.as_deref(), over_source),
                self.seat(End::Destination, chosen.as_deref(), over_destination),
            );
            for (end, answers) in [(End::Source, source.is_ok()), (End::Destination, destination.is_ok())] {
                if answers && end.of(&passed_over).is_empty() {
                    self.health(end).answers();
                }
            }
            let mut seats = [source?, destination?];
            let Some((unfit, reason)) = self.unfit(&mut seats).await? else {
                break seats;
            };
            if !unfit.of(&self.servers).address.is_list() {
                self.health(unfit).unfit(&reason).await;
                return Err(Failure::data(reason));
            }
            let address = unfit.of(&seats).pinned.hosts().into_iter().next().unwrap_or_default();
            unfit.of_mut(&mut passed_over).push((address, reason));
        };
        let sites = self.sites([&source.seen, &destination.seen])?;
        for (end, seat) in End::BOTH.into_iter().zip([&source, &destination]) {
            self.look_closer(end, seat).await?;
        }
        let same = chosen.as_ref().is_some_and(|before| {
            let in_use = |servers: &[ServerDefinition; 2]| servers.each_ref().map(|server| server.in_use.clone());
            in_use(&before.servers) == [source.pinned.in_use.clone(), destination.pinned.in_use.clone()]
        });
        if !same && chosen.is_some() {
            self.generation.send_modify(|generation| *generation += 1);
        }
        let now = Arc::new(Chosen {
            generation: *self.generation.borrow(),
            servers: [source.pinned, destination.pinned],
            sites,
            seen: [source.seen, destination.seen],
        });
        for ((used, server), seen) in self.uses.iter().zip(&now.servers).zip(&now.seen) {
            let host = server.hosts().into_iter().next().filter(|_| server.address.is_list());
            used.health()
                .reached(ServerSeen {
                    version: Some(seen.version.clone()),
                    server_uuid: Some(seen.server_uuid.clone()),
                    in_use: host.map(|host| host.to_string()),
                    state: "reachable".to_owned(),
                    last_error: String::new(),
                })
                .await;
        }
        *chosen = Some(now.clone());
        Ok(now)
    }

    /// The first host of a server that lets us in and may be written to, if that is what it is for.
    async fn seat(&self, end: End, before: Option<&Chosen>, passed_over: &PassedOver) -> Result<Seat, Failure> {
        let (server, health) = (end.of(&self.servers), self.health(end));
        let mut server = server.clone();
        if let Some(last) = before.and_then(|before| end.of(&before.servers).in_use.clone()) {
            server.in_use = Some(InUse {
                server_uuid: None,
                ..last
            });
        }
        let mut failures = Vec::new();
        for address in server.hosts() {
            if passed_over.iter().any(|(other, _)| *other == address) {
                continue;
            }
            match self.look(end, &server, &address).await {
                Ok(seat) => return Ok(seat),
                Err(failure) => failures.push(failure),
            }
        }
        // Hosts that answer, and lack what was applied: they end it only if the others stay away.
        let lacking = !passed_over.is_empty() && (failures.is_empty() || health.failing_for() >= self.others_limit);
        let only_data = failures.iter().all(|failure| failure.kind == Kind::Data) && passed_over.is_empty();
        let messages: Vec<String> = (failures.iter().map(|failure| failure.message.clone()))
            .chain(passed_over.iter().map(|(_, reason)| reason.clone()))
            .collect();
        let message = messages.join("; ");
        if lacking || only_data {
            health.unfit(&message).await;
            return Err(Failure::data(message));
        }
        health.failed(&message).await;
        Err(Failure::environment(message))
    }

    /// What is at one host.
    async fn look(&self, end: End, server: &ServerDefinition, address: &Address) -> Result<Seat, Failure> {
        let one = ServerDefinition {
            address: address.clone(),
            in_use: None,
            ..server.clone()
        };
        let mut conn = connect::open_bare(&one).await?;
        let seen = Seen::read(&mut conn, server).await?;
        let writes = end == End::Destination || self.two_way;
        let at = || format!("server {} ({address})", server.name);
        if writes && server.address.is_list() && seen.read_only {
            return Err(Failure::environment(format!(
                "{} is read-only, so it is passed over; when it has been promoted, SET GLOBAL super_read_only = OFF, read_only = \
                 OFF there",
                at()
            )));
        }
        if writes {
            let last = self.health(end).server_uuid();
            let stands_for = |uuid: &String| {
                *uuid != seen.server_uuid && (last.as_ref() == Some(uuid) || seen.site.as_ref() == Some(uuid))
            };
            if let Some(uuid) = applied_from(&mut conn).await?.iter().find(|uuid| stands_for(uuid)) {
                return Err(Failure::environment(format!(
                    "{} still applies as a replica what it gets from the server that it stands in for (server_uuid {uuid}); \
                     promote it when it has applied all (STOP REPLICA; RESET REPLICA ALL)",
                    at()
                )));
            }
        }
        let pinned = ServerDefinition {
            in_use: Some(InUse {
                address: address.clone(),
                server_uuid: Some(seen.server_uuid.clone()),
            }),
            ..server.clone()
        };
        Ok(Seat { conn, pinned, seen })
    }

    /// Which server can't be what a link of this task reads, and why, if one can't.
    async fn unfit(&self, seats: &mut [Seat; 2]) -> Result<Option<(End, String)>, Failure> {
        let [source, destination] = seats;
        if let Some(reason) = self.unfit_source(Direction::Forward, source, destination).await? {
            return Ok(Some((End::Source, reason)));
        }
        if !self.two_way {
            return Ok(None);
        }
        let reason = self.unfit_source(Direction::Reverse, destination, source).await?;
        Ok(reason.map(|reason| (End::Destination, reason)))
    }

    /// Why a link can't go on to read `reads`, by its checkpoint at the server that `keeps` it.
    async fn unfit_source(
        &self,
        direction: Direction,
        reads: &mut Seat,
        keeps: &mut Seat,
    ) -> Result<Option<String>, Failure> {
        if !reads.seen.gtids {
            return Ok(None);
        }
        let end = End::read_by(direction);
        let key = LinkKey {
            task: self.key.clone(),
            direction,
        };
        let covered = match lineage::covered(&mut keeps.conn, &key).await {
            Ok(covered) => covered,
            Err(failure) => return Err(self.blame(end.other(), failure).await),
        };
        let begin = Instant::now();
        loop {
            let seen = &reads.seen;
            let unfit = match covered.unfit(&seen.server_uuid, &seen.executed, &seen.purged) {
                None => return Ok(None),
                Some(unfit) => unfit,
            };
            if !matches!(unfit, Unfit::Lacks(_)) || begin.elapsed() >= COMMIT_LIMIT {
                let from = keeps.pinned.name.as_str();
                return Ok(Some(told(&unfit, &reads.pinned, &seen.server_uuid, from)));
            }
            tokio::time::sleep(COMMIT_ASKED_EVERY).await;
            reads.seen = match Seen::read(&mut reads.conn, &reads.pinned).await {
                Ok(seen) => seen,
                Err(failure) => return Err(self.blame(end, failure).await),
            };
        }
    }

    /// A server that took another one's place has to be set up as that was.
    async fn look_closer(&self, end: End, seat: &Seat) -> Result<(), Failure> {
        let last = self.health(end).server_uuid();
        if last.is_none_or(|last| last == seat.seen.server_uuid) {
            return Ok(());
        }
        if end == End::Source || self.two_way {
            let facts = match check::facts(&seat.pinned).await {
                Ok(facts) => facts,
                Err(failure) => return Err(self.blame(end, failure).await),
            };
            let described = check::described(&seat.pinned, Ok(facts.clone()));
            let wrong: Vec<String> = precheck::of_server(&described, &facts)
                .into_iter()
                .filter(|(_, judged)| judged.result == Verdict::Fail)
                .map(|(step, judged)| format!("{step} is {} ({})", judged.found, judged.remedy))
                .collect();
            if !wrong.is_empty() {
                let name = &seat.pinned.name;
                return Err(Failure::data(format!("server {name}: {}", wrong.join("; "))));
            }
        }
        let host = seat.pinned.hosts().into_iter().next().unwrap_or_default();
        let message = format!(
            "server {} is at {host} now, with another server_uuid ({}): it has all that was applied",
            seat.pinned.name, seat.seen.server_uuid
        );
        self.tell(&[], Level::Info, message).await;
        Ok(())
    }

    fn sites(&self, seen: [&Seen; 2]) -> Result<[Site; 2], Failure> {
        let [source, destination] = seen.map(|seen| seen.site.clone().unwrap_or_else(|| seen.server_uuid.clone()));
        // Both ends on one server: two sites all the same.
        if seen[0].server_uuid == seen[1].server_uuid {
            return Ok([
                format!("{source}/{}/a", self.key),
                format!("{destination}/{}/b", self.key),
            ]);
        }
        if source == destination {
            return Err(Failure::data(format!(
                "servers {} and {} have the same site ({source}) in causeway.site: one is a replica of the other, or was made \
                 from a copy of it, causeway schema included. If it is to be a server of its own, stop its replication and DROP \
                 DATABASE causeway there (no task must be using it), then start again",
                self.servers[0].name, self.servers[1].name
            )));
        }
        Ok([source, destination])
    }

    fn health(&self, end: End) -> &Arc<Health> {
        end.of(&self.uses).health()
    }

    /// Notes at which server something failed.
    async fn blame(&self, end: End, failure: Failure) -> Failure {
        if failure.kind == Kind::Environment {
            self.health(end).failed(&failure.message).await;
        }
        failure
    }

    async fn tell(&self, statuses: &[Arc<LinkStatus>], level: Level, message: String) {
        match level {
            Level::Info => tracing::info!(task = %self.task, "{message}"),
            _ => tracing::warn!(task = %self.task, "{message}"),
        }
        let event = EventRecord {
            task: Some(self.task.clone()),
            direction: match statuses {
                [one] => Some(one.direction()),
                _ => None,
            },
            level,
            message,
        };
        let store = self.store.clone();
        let written = tokio::task::spawn_blocking(move || store.record_event(&event)).await;
        if let Ok(Err(cause)) = written {
            tracing::error!("an event can't be taken down: {cause}");
        }
    }
}

impl Seen {
    /// What its binlogs do not have any more.
    pub fn purged(&self) -> &GtidSet {
        &self.purged
    }

    async fn read(conn: &mut Conn, server: &ServerDefinition) -> Result<Self, Failure> {
        let row: Option<Row> = conn
            .query_first(
                "SELECT @@server_uuid, @@version, @@lower_case_table_names, @@GLOBAL.read_only, @@GLOBAL.gtid_mode, \
                 @@GLOBAL.gtid_executed, @@GLOBAL.gtid_purged",
            )
            .await
            .map_err(|error| {
                let failure = Failure::mysql(format_args!("reading the settings of server {}", server.name), &error);
                // 1193, unknown system variable: not MySQL, or a very old one.
                match &error {
                    mysql_async::Error::Server(error) if error.code == 1193 => Failure::data(format!(
                        "{failure}. Causeway synchronizes MySQL servers from version 8.0.19 on"
                    )),
                    _ => failure,
                }
            })?;
        let text = |place: usize| {
            row.as_ref()
                .and_then(|row| row.get_opt::<Option<String>, _>(place))
                .and_then(Result::ok)
                .flatten()
                .unwrap_or_default()
        };
        let set = |place: usize| {
            text(place)
                .parse::<GtidSet>()
                .map_err(|error| Failure::data(format!("a GTID set of server {} can't be read: {error}", server.name)))
        };
        let (executed, purged) = (set(5)?, set(6)?);
        Ok(Self {
            server_uuid: text(0),
            version: text(1),
            lower_case_table_names: text(2).parse().unwrap_or(0),
            read_only: text(3) == "1",
            gtids: text(4) == "ON",
            executed,
            purged,
            site: lineage::site(conn).await?,
        })
    }
}

/// The servers whose changes this one applies as a replica, by `server_uuid`. Nothing, if the account may not know.
async fn applied_from(conn: &mut Conn) -> Result<Vec<String>, Failure> {
    // Renamed in 8.0.22, the old name gone in 8.4.
    let (statement, uuid, running) = if conn.server_version() >= (8, 0, 22) {
        ("SHOW REPLICA STATUS", "Source_UUID", "Replica_SQL_Running")
    } else {
        ("SHOW SLAVE STATUS", "Master_UUID", "Slave_SQL_Running")
    };
    let rows: Vec<Row> = match conn.query(statement).await {
        Ok(rows) => rows,
        Err(mysql_async::Error::Server(error)) if error.code == 1227 => Vec::new(),
        Err(error) => return Err(Failure::mysql(statement, &error)),
    };
    let text = |row: &Row, column: &str| {
        let cell = row.get_opt::<Option<String>, _>(column);
        cell.and_then(Result::ok).flatten().unwrap_or_default()
    };
    let applies = |row: &&Row| text(row, running) == "Yes";
    Ok(rows.iter().filter(applies).map(|row| text(row, uuid)).collect())
}

/// Why a server can't be read on, and what to do. `other` is the server that has the checkpoint.
pub fn told(unfit: &Unfit, server: &ServerDefinition, server_uuid: &str, other: &str) -> String {
    let name = &server.name;
    let host = server.hosts().into_iter().next().unwrap_or_default();
    let at = format!("server {name} ({host}, server_uuid {server_uuid})");
    let anew = "drop the task and create it anew, with full sync";
    match unfit {
        Unfit::Stranger => format!(
            "{at} has none of the transactions that were applied from it at server {other}: it is another server, or its GTIDs \
             were reset. Point {name} to the right one with ALTER SERVER {name} OPTIONS (HOST '…', PORT …), then RESUME the \
             task; or {anew}"
        ),
        Unfit::Lacks(lacks) => format!(
            "{at} lacks transactions that were applied at server {other}: {lacks}. It was promoted before it had received them, \
             or restored from a backup that is older. Bring them over from the old server's binlogs (mysqlbinlog \
             --include-gtids='{lacks}' … | mysql …), then RESUME the task; or {anew}"
        ),
        Unfit::Purged(gone) => format!(
            "{at} has purged binlogs with changes that the task still needs: {gone}. Drop the task and create it anew, with \
             full sync, and keep binlogs longer (binlog_expire_logs_seconds)"
        ),
        Unfit::Copying(before) => format!(
            "{at} took the place of the server with server_uuid {before} while tables were being copied; what was copied may \
             show changes that it does not have. If the old one is back, point {name} to it; or {anew}"
        ),
    }
}
