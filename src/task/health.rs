//! Whether servers can be reached, as all tasks of this process that use one know it together.
//!
//! The retry window belongs to the server: it begins when the first of its tasks can't reach it, and ends for all of them
//! with the shortest `retry_window` among those that are running. Whoever reaches the server again wakes the others.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dashmap::DashMap;
use tokio::sync::Notify;

use crate::{
    model::{
        name::ServerName,
        outage::{Backoff, Outage, Verdict, utc},
    },
    store::{ServerSeen, Store, StoreError},
};

use super::status::now_ms;

/// Makes the minutes of retry windows shorter, for tests: milliseconds.
const MINUTE_VARIABLE: &str = "CAUSEWAY_RETRY_MINUTE_MS";

/// The servers of this process.
#[derive(Debug)]
pub struct Servers {
    store: Arc<Store>,
    known: DashMap<ServerName, Arc<Health>>,
    minute: Duration,
    origin: Instant,
}

/// One server.
#[derive(Debug)]
pub struct Health {
    name: ServerName,
    store: Arc<Store>,
    minute: Duration,
    origin: Instant,
    inner: Mutex<Inner>,
    recovered: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    outage: Outage,
    /// The retry windows of the running tasks that use it, in minutes, by number.
    windows: BTreeMap<u64, u32>,
    next: u64,
    /// What the store was last told.
    shown: Option<ServerSeen>,
    server_uuid: Option<String>,
}

/// A running task's use of a server; ends when it is dropped.
#[derive(Debug)]
pub struct Use {
    number: u64,
    health: Arc<Health>,
}

/// What is to be done about a server that can't be reached.
#[derive(Debug)]
pub enum Retry {
    /// Try again after a while.
    After {
        /// The while.
        wait: Duration,
        /// Since and until when, for the operator.
        told: String,
    },
    /// The window has ended: why, for the operator.
    Never(String),
}

impl Servers {
    /// Those that the store knows.
    pub fn new(store: Arc<Store>) -> Self {
        let minute = std::env::var(MINUTE_VARIABLE).ok().and_then(|text| text.parse().ok());
        Self {
            store,
            known: DashMap::new(),
            minute: Duration::from_millis(minute.unwrap_or(60_000)),
            origin: Instant::now(),
        }
    }

    /// How long a minute of a retry window is.
    pub fn minute(&self) -> Duration {
        self.minute
    }

    /// The server of that name.
    pub fn health(&self, name: &ServerName) -> Arc<Health> {
        let make = || {
            let server_uuid = self.store.last_server_uuid(name).ok().flatten();
            Arc::new(Health {
                name: name.clone(),
                store: self.store.clone(),
                minute: self.minute,
                origin: self.origin,
                inner: Mutex::new(Inner {
                    server_uuid,
                    ..Inner::default()
                }),
                recovered: Notify::new(),
            })
        };
        self.known.entry(name.clone()).or_insert_with(make).clone()
    }

    /// The server is defined anew: what was known of it does not count any more, save which one it was.
    pub fn changed(&self, name: &ServerName) {
        let health = self.health(name);
        let mut inner = health.lock();
        inner.outage.over();
        inner.shown = None;
    }
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task with this retry window begins to use it.
    pub fn used(self: &Arc<Self>, window_minutes: u32) -> Use {
        let mut inner = self.lock();
        inner.next += 1;
        let number = inner.next;
        inner.windows.insert(number, window_minutes);
        Use {
            number,
            health: self.clone(),
        }
    }

    /// The `server_uuid` that it last had.
    pub fn server_uuid(&self) -> Option<String> {
        self.lock().server_uuid.clone()
    }

    /// It has been reached.
    pub async fn reached(&self, seen: ServerSeen) {
        {
            let mut inner = self.lock();
            inner.outage.over();
            if seen.server_uuid.is_some() {
                inner.server_uuid.clone_from(&seen.server_uuid);
            }
        }
        self.recovered.notify_waiters();
        self.show(seen).await;
    }

    /// Somebody has looked at it, which tells nothing of the tasks that use it.
    pub async fn looked_at(&self, seen: ServerSeen) {
        self.show(seen).await;
    }

    /// It could not be reached.
    pub async fn failed(&self, message: &str) {
        let now = self.origin.elapsed();
        self.lock().outage.failed(now);
        self.show(ServerSeen {
            state: "unreachable".to_owned(),
            last_error: message.to_owned(),
            ..ServerSeen::default()
        })
        .await;
    }

    /// It answers.
    pub fn answers(&self) {
        self.lock().outage.over();
    }

    /// It has been reached, and can't be used.
    pub async fn unfit(&self, message: &str) {
        self.lock().outage.over();
        self.show(ServerSeen {
            state: "reachable".to_owned(),
            last_error: message.to_owned(),
            ..ServerSeen::default()
        })
        .await;
    }

    /// For how long it has not been reached.
    pub fn failing_for(&self) -> Duration {
        let now = self.origin.elapsed();
        let since = self.lock().outage.since();
        since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// What is to be done, if it could not be reached.
    pub fn retry(&self, backoff: &mut Backoff) -> Option<Retry> {
        let now = self.origin.elapsed();
        let mut inner = self.lock();
        let since = inner.outage.since()?;
        let shortest = inner.windows.values().min().copied().unwrap_or(0);
        let tasks = inner.windows.len();
        let window = self.minute * shortest;
        let verdict = inner.outage.verdict(now, window, backoff, rand::random());
        let window = match verdict {
            // The task that had it may be gone by now.
            Verdict::GiveUp { window } => in_minutes(window, self.minute),
            Verdict::Again { .. } => shortest,
        };
        let what = format!("server {}", self.name);
        Some(retry(verdict, now, since, &what, window, tasks))
    }

    /// Waits until somebody has reached it.
    pub async fn wait_reached(&self) {
        self.recovered.notified().await;
    }

    async fn show(&self, seen: ServerSeen) {
        {
            let mut inner = self.lock();
            if inner.shown.as_ref() == Some(&seen) {
                return;
            }
            inner.shown = Some(seen.clone());
        }
        let (store, name) = (self.store.clone(), self.name.clone());
        let written: Result<Result<(), StoreError>, _> =
            tokio::task::spawn_blocking(move || store.set_server_seen(&name, &seen)).await;
        if let Ok(Err(cause)) = written {
            tracing::error!("what was found of a server can't be written down: {cause}");
        }
    }
}

fn in_minutes(time: Duration, minute: Duration) -> u32 {
    let minutes = time.as_millis().checked_div(minute.as_millis()).unwrap_or(0);
    u32::try_from(minutes).unwrap_or(u32::MAX)
}

/// A verdict in words. `window` in minutes; `tasks` share it.
pub fn retry(verdict: Verdict, now: Duration, since: Duration, what: &str, window: u32, tasks: usize) -> Retry {
    let at = |time: Duration| {
        let ago = i128::try_from(now.as_millis()).unwrap_or(0) - i128::try_from(time.as_millis()).unwrap_or(0);
        utc(u64::try_from(i128::from(now_ms()) - ago).unwrap_or(0))
    };
    let shared = if tasks > 1 {
        ", the shortest of the tasks that share the server"
    } else {
        ""
    };
    match verdict {
        Verdict::Again { wait, until } => Retry::After {
            wait,
            told: format!(
                "{what} fails since {} UTC and is tried until {} UTC",
                at(since),
                at(until)
            ),
        },
        Verdict::GiveUp { .. } => Retry::Never(format!(
            "{what} has failed since {} UTC, for the whole retry window of {window} minutes{shared}; mend the cause, then \
             RESUME the task",
            at(since)
        )),
    }
}

impl Use {
    /// The server.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.health.lock().windows.remove(&self.number);
    }
}
