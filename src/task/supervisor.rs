//! What the operator wants of each task, and the tasks that are at work.
//!
//! The store says what is wanted; [`Supervisor::open`] brings that about at every start of the process. A task that is
//! at work is one tokio task with its links in it; it ends when it is told to, or when a link meets a failure that only
//! the operator can mend.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use dashmap::DashMap;
use sha2::{Digest, Sha256};
use tokio::{
    sync::{Mutex, watch},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::statements::{Control, ControlError, code},
    apply::checkpoint::{self, LinkKey},
    connect,
    failure::{Failure, Kind},
    model::{
        name::{ServerName, TaskName},
        precheck::PrecheckRow,
        server::ServerDefinition,
        status::{CheckStep, EventRecord, Level, State},
        task::{Direction, ObjectRule, TaskDefinition, Wanted},
    },
    precheck::Depth,
    store::{ServerSeen, Store, StoreError, StoredTask},
};

use super::{
    additions::{self, Former},
    check,
    ends::{Chosen, Ends},
    gates::Gates,
    health::Servers,
    link::{Link, Placed, Shared},
    objects,
    pace::Pace,
    position::LogEnd,
    precheck,
    status::LinkStatus,
};

/// A task did not start: a server is out of reach, or is not as it has to be.
const NOT_STARTED: u16 = 3105;
/// A task can't have the objects it is to have.
const CANT_ALTER: u16 = 3160;
/// There is no precheck item of that name.
const NO_SUCH_ITEM: u16 = 3110;
/// A fail can't be acknowledged.
const NOT_A_WARNING: u16 = 3111;
/// How long the end of a task is waited for before it is cut off. Nothing is lost then either.
const END_LIMIT: Duration = Duration::from_secs(90);
/// How often it is looked whether tables that came in are copied, and whether the other direction has ended.
const LOOKED_AT: Duration = Duration::from_millis(50);

/// All tasks of this process.
#[derive(Debug)]
pub struct Supervisor {
    store: Arc<Store>,
    servers: Servers,
    tasks: DashMap<TaskName, Arc<Entry>>,
}

#[derive(Debug)]
struct Entry {
    statuses: Vec<Arc<LinkStatus>>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    handle: JoinHandle<()>,
}

fn error(code: u16, message: impl Into<String>) -> ControlError {
    ControlError {
        code,
        sqlstate: "HY000",
        message: message.into(),
    }
}

fn store_error(cause: &StoreError) -> ControlError {
    error(code::STORE, cause.to_string())
}

impl Supervisor {
    /// Starts every task that is to be running.
    ///
    /// # Errors
    /// If the store can't be read.
    pub fn open(store: Arc<Store>) -> Result<Arc<Self>, StoreError> {
        let supervisor = Arc::new(Self {
            servers: Servers::new(store.clone()),
            store,
            tasks: DashMap::new(),
        });
        let (status, objects) = (supervisor.store.last_status()?, supervisor.store.last_objects()?);
        for task in supervisor.store.tasks()? {
            let entry = entry(&task);
            for link in &entry.statuses {
                let last = status
                    .iter()
                    .find(|row| row.task == task.definition.name.as_str() && row.direction == link.direction());
                if let Some(row) = last {
                    link.restore(row, &objects);
                }
            }
            supervisor.tasks.insert(task.definition.name.clone(), entry.clone());
            if task.wanted == Wanted::Running {
                let mut running = entry.running.try_lock().ok();
                if let Some(running) = &mut running {
                    **running = Some(supervisor.spawn(task, &entry));
                }
            }
        }
        Ok(supervisor)
    }

    /// Stops every task cleanly; they are started again at the next start of the process.
    pub async fn shutdown(&self) {
        let entries: Vec<Arc<Entry>> = self.tasks.iter().map(|entry| entry.value().clone()).collect();
        for entry in &entries {
            if let Some(running) = &*entry.running.lock().await {
                running.stop.cancel();
            }
        }
        for entry in &entries {
            end(entry).await;
        }
        self.publish(true).await;
    }

    fn entry(&self, task: &StoredTask) -> Arc<Entry> {
        self.tasks
            .entry(task.definition.name.clone())
            .or_insert_with(|| entry(task))
            .clone()
    }

    fn stored(&self, name: &TaskName) -> Result<StoredTask, ControlError> {
        self.store
            .task(name)
            .map_err(|cause| store_error(&cause))?
            .ok_or_else(|| {
                error(
                    code::NO_SUCH_TASK,
                    format!("there is no task {name}; SHOW SYNC TASKS lists them"),
                )
            })
    }

    fn server(&self, name: &ServerName) -> Result<ServerDefinition, Failure> {
        self.store
            .server(name)
            .map_err(|cause| Failure::data(cause.to_string()))?
            .ok_or_else(|| Failure::data(format!("there is no server {name}; make it with CREATE SERVER")))
    }

    fn spawn(self: &Arc<Self>, task: StoredTask, entry: &Arc<Entry>) -> Running {
        let stop = CancellationToken::new();
        let (supervisor, entry, token) = (self.clone(), entry.clone(), stop.clone());
        let handle = tokio::spawn(async move { supervisor.run(task, &entry.statuses, &token).await });
        Running { stop, handle }
    }

    /// Runs a task's links until they end, and writes down how.
    async fn run(&self, task: StoredTask, statuses: &[Arc<LinkStatus>], stop: &CancellationToken) {
        let name = task.definition.name.clone();
        for status in statuses {
            status.enter(State::Starting, Some(""));
        }
        let result = self.run_links(&task, statuses, stop).await;
        match result {
            Ok(()) if stop.is_cancelled() => {}
            Ok(()) => {
                self.want(&name, Wanted::Stopped, "").await;
                for status in statuses {
                    status.enter(State::Stopped, None);
                }
            }
            Err((direction, failure)) => {
                let (wanted, state, verb) = match failure.kind {
                    Kind::Undecided => (Wanted::Paused, State::Paused, "paused"),
                    _ => (Wanted::Failed, State::Failed, "failed"),
                };
                self.want(&name, wanted, &failure.message).await;
                for status in statuses {
                    let own = status.direction() == direction;
                    let other = format!("stopped because the {direction} direction {verb}");
                    status.enter(state, Some(if own { &failure.message } else { &other }));
                }
                tracing::error!(task = %name, %direction, "{failure}");
                let event = EventRecord {
                    task: Some(name.to_string()),
                    direction: Some(direction),
                    level: Level::Error,
                    message: failure.message,
                };
                let store = self.store.clone();
                let written = tokio::task::spawn_blocking(move || store.record_event(&event)).await;
                if let Ok(Err(cause)) = written {
                    tracing::error!("an event can't be taken down: {cause}");
                }
            }
        }
    }

    async fn want(&self, name: &TaskName, wanted: Wanted, last_error: &str) {
        let (store, name, last_error) = (self.store.clone(), name.clone(), last_error.to_owned());
        let written = tokio::task::spawn_blocking(move || store.set_wanted(&name, wanted, &last_error)).await;
        if let Ok(Err(cause)) = written {
            tracing::error!("what is wanted of a task can't be written down: {cause}");
        }
    }

    async fn run_links(
        &self,
        task: &StoredTask,
        statuses: &[Arc<LinkStatus>],
        stop: &CancellationToken,
    ) -> Result<(), (Direction, Failure)> {
        let forward = |failure| (Direction::Forward, failure);
        let ends = Arc::new(self.ends(task).map_err(forward)?);
        let Some((chosen, _)) = ends.reach(statuses, stop).await.map_err(forward)? else {
            return Ok(());
        };
        let links = links(task, &ends, &chosen, statuses, self);
        let links = links.map_err(|reason| forward(Failure::data(reason)))?;
        let mut ends = JoinSet::new();
        let inner = stop.child_token();
        for link in links {
            let token = inner.clone();
            ends.spawn(async move {
                let direction = link.key.direction;
                let link = Arc::new(link);
                (direction, link.run(&token).await)
            });
        }
        let mut first = Ok(());
        while let Some(ended) = ends.join_next().await {
            let result = match ended {
                Ok((_, Ok(()))) => continue,
                Ok((direction, Err(failure))) => Err((direction, failure)),
                Err(cause) => Err(forward(Failure::data(format!(
                    "the task has come upon an internal error ({cause}); nothing was lost, the checkpoint stands. Please \
                     report it"
                )))),
            };
            if first.is_ok() {
                first = result;
                // The task stops as a whole.
                inner.cancel();
            }
        }
        first
    }

    /// The servers of a task.
    fn ends(&self, task: &StoredTask) -> Result<Ends, Failure> {
        let definition = &task.definition;
        let windows = [Direction::Forward, Direction::Reverse]
            .map(|direction| definition.options_for(direction).retry_window_minutes);
        Ok(Ends::new(
            &self.servers,
            &self.store,
            [definition.name.to_string(), task_key(task)],
            definition.two_way,
            [self.server(&definition.source)?, self.server(&definition.destination)?],
            if definition.two_way {
                windows[0].min(windows[1])
            } else {
                windows[0]
            },
        ))
    }

    async fn seen(&self, server: &ServerDefinition, facts: &check::Facts) {
        let seen = ServerSeen {
            version: Some(facts.version.clone()),
            server_uuid: Some(facts.server_uuid.clone()),
            state: "reachable".to_owned(),
            ..ServerSeen::default()
        };
        self.servers.health(&server.name).reached(seen).await;
    }

    /// Whether the servers still are those that the task has been reading, before it is started again. What is out of
    /// reach is told by [`Supervisor::refuse`].
    async fn still_fit(&self, task: &StoredTask) -> Result<(), ControlError> {
        let once = async { self.ends(task)?.once().await };
        match once.await {
            Err(failure) if failure.kind == Kind::Data => Err(error(
                NOT_STARTED,
                format!("task {} can't start: {failure}", task.definition.name),
            )),
            _ => Ok(()),
        }
    }

    /// Looks at both servers, and judges. What is found by a whole precheck is kept.
    async fn precheck(&self, task: &StoredTask, depth: Depth) -> Result<Vec<PrecheckRow>, ControlError> {
        let definition = &task.definition;
        let servers = [self.server(&definition.source), self.server(&definition.destination)];
        let (mut rows, facts) = precheck::run(definition, &task_key(task), &servers, depth).await;
        for (server, facts) in servers.iter().zip(&facts) {
            if let (Ok(server), Some(facts)) = (server, facts) {
                self.seen(server, facts).await;
            }
        }
        if depth == Depth::Whole {
            let (store, name) = (self.store.clone(), definition.name.clone());
            let kept = tokio::task::spawn_blocking(move || store.keep_precheck(&name, &mut rows).map(|()| rows)).await;
            rows = kept
                .map_err(|cause| error(code::STORE, cause.to_string()))?
                .map_err(|cause| store_error(&cause))?;
        }
        Ok(rows)
    }

    /// Looks at both servers before a task is started, so that whoever starts it hears at once what is wrong.
    async fn refuse(&self, task: &StoredTask, depth: Depth) -> Result<(), ControlError> {
        let rows = self.precheck(task, depth).await?;
        match precheck::refusal(task.definition.name.as_str(), &rows) {
            None => Ok(()),
            Some(message) => Err(error(NOT_STARTED, message)),
        }
    }

    async fn begin(self: &Arc<Self>, name: &TaskName, depth: Depth) -> Result<(), ControlError> {
        let task = self.stored(name)?;
        let entry = self.entry(&task);
        let mut running = entry.running.lock().await;
        if running.as_ref().is_some_and(|running| !running.handle.is_finished()) {
            return Err(error(code::TASK_STATE, format!("task {name} is running already")));
        }
        let before: Vec<State> = entry.statuses.iter().map(|status| status.state()).collect();
        for status in &entry.statuses {
            status.enter(State::Prechecking, None);
        }
        let refused = match self.still_fit(&task).await {
            Ok(()) => self.refuse(&task, depth).await,
            refused => refused,
        };
        let begun = refused.and_then(|()| {
            let wanted = self.store.set_wanted(name, Wanted::Running, "");
            wanted.map_err(|cause| store_error(&cause))
        });
        // Whoever waits for the task right behind this statement is not to be told that it is paused.
        for (status, before) in entry.statuses.iter().zip(before) {
            status.enter(if begun.is_ok() { State::Starting } else { before }, None);
        }
        if let Err(refused) = begun {
            // A client shows the beginning of a long error only; the whole stands in sync.events.
            let event = EventRecord {
                task: Some(name.to_string()),
                direction: None,
                level: Level::Error,
                message: refused.message.clone(),
            };
            self.store.record_event(&event).map_err(|cause| store_error(&cause))?;
            return Err(refused);
        }
        *running = Some(self.spawn(task, &entry));
        Ok(())
    }

    async fn halt(&self, name: &TaskName, wanted: Wanted, state: State) -> Result<(), ControlError> {
        let task = self.stored(name)?;
        let entry = self.entry(&task);
        // Written first: were the process to die now, the task would not start again.
        self.store
            .set_wanted(name, wanted, "")
            .map_err(|cause| store_error(&cause))?;
        end(&entry).await;
        for status in &entry.statuses {
            status.enter(state, Some(""));
        }
        Ok(())
    }

    /// Looks whether a task that has been started before can have other objects, and if so brings them in.
    async fn alter_objects(
        self: &Arc<Self>,
        before: &TaskDefinition,
        after: &TaskDefinition,
        added: &[ObjectRule],
    ) -> Result<(), ControlError> {
        let name = &after.name;
        let is_as_before = || match self.stored(name)? {
            task if task.definition == *before => Ok(task),
            _ => Err(error(
                code::TASK_STATE,
                format!("task {name} was altered by another session at the same time; look at it, and try again"),
            )),
        };
        let cant = |reason: String| error(CANT_ALTER, format!("the objects of task {name} can't be so: {reason}"));
        let task = is_as_before()?;
        let servers = self
            .server(&after.source)
            .and_then(|source| Ok([source, self.server(&after.destination)?]));
        let [source, destination] = servers.map_err(|failure| cant(failure.message))?;
        match additions::refusal([&source, &destination], before, after, added).await {
            Ok(None) => {}
            Ok(Some(reason)) => return Err(cant(reason)),
            Err(failure) => return Err(cant(failure.message)),
        }
        if !added.is_empty() {
            let (key, servers) = (task_key(&task), [Ok(source), Ok(destination)]);
            let (rows_before, _) = precheck::run(before, &key, &servers, Depth::Whole).await;
            let (rows_after, _) = precheck::run(after, &key, &servers, Depth::Whole).await;
            if let Some(reason) = precheck::new_fails(&rows_before, &rows_after) {
                return Err(cant(reason));
            }
        }
        let mut former = Vec::new();
        if before.objects != after.objects {
            former.push((Direction::Forward, before.objects.clone()));
        }
        if let (Some(rules), true) = (&before.reverse_objects, before.reverse_objects != after.reverse_objects) {
            former.push((Direction::Reverse, rules.clone()));
        }
        let entry = self.entry(&task);
        let mut running = entry.running.lock().await;
        is_as_before()?;
        halt(&mut running).await;
        let task = is_as_before()?;
        self.store
            .alter_objects(after, &former)
            .map_err(|cause| store_error(&cause))?;
        if task.wanted == Wanted::Running {
            let definition = after.clone();
            *running = Some(self.spawn(StoredTask { definition, ..task }, &entry));
        }
        Ok(())
    }

    /// Ends a task that is at work and begins it anew.
    async fn renew(self: &Arc<Self>, name: &TaskName) -> Result<(), ControlError> {
        let task = self.stored(name)?;
        if task.wanted != Wanted::Running {
            return Ok(());
        }
        let entry = self.entry(&task);
        end(&entry).await;
        *entry.running.lock().await = Some(self.spawn(task, &entry));
        Ok(())
    }
}

fn entry(task: &StoredTask) -> Arc<Entry> {
    let state = match task.wanted {
        Wanted::Created => State::Created,
        Wanted::Running => State::Starting,
        Wanted::Paused => State::Paused,
        Wanted::Stopped => State::Stopped,
        Wanted::Failed => State::Failed,
    };
    let name = task.definition.name.as_str();
    let mut statuses = vec![Arc::new(LinkStatus::new(name, Direction::Forward, state))];
    if task.definition.two_way {
        statuses.push(Arc::new(LinkStatus::new(name, Direction::Reverse, state)));
    }
    Arc::new(Entry {
        statuses,
        running: Mutex::new(None),
    })
}

async fn end(entry: &Entry) {
    halt(&mut *entry.running.lock().await).await;
}

async fn halt(running: &mut Option<Running>) {
    if let Some(mut task) = running.take() {
        task.stop.cancel();
        if tokio::time::timeout(END_LIMIT, &mut task.handle).await.is_err() {
            tracing::warn!("a task did not end in time and is cut off");
            task.handle.abort();
        }
    }
}

/// A task as checkpoints name it: its name, and what tells it from an earlier task of the same name.
fn task_key(task: &StoredTask) -> String {
    let name = task.definition.name.as_str();
    let digest = Sha256::digest(format!("{name}\0{}\0{}", task.created_at, task.definition.source));
    format!("{name}#{}", hex::encode(digest.get(..4).unwrap_or_default()))
}

fn links(
    task: &StoredTask,
    ends: &Arc<Ends>,
    chosen: &Chosen,
    statuses: &[Arc<LinkStatus>],
    supervisor: &Supervisor,
) -> Result<Vec<Link>, String> {
    let key = task_key(task);
    let lower_case_table_names = chosen.seen.each_ref().map(|seen| seen.lower_case_table_names);
    let Some(forward) = statuses.first() else {
        return Ok(Vec::new());
    };
    let shared = Arc::new(Shared::new(
        forward.clone(),
        task.definition.two_way,
        objects::of(&task.definition, Direction::Forward, lower_case_table_names)?,
        task.definition.reverse_objects.is_some(),
    ));
    statuses
        .iter()
        .map(|status| {
            let direction = status.direction();
            let key = LinkKey {
                task: key.clone(),
                direction,
            };
            let Placed {
                source,
                destination,
                here,
                there,
                identity,
                source_seen,
            } = Placed::new(&key, chosen);
            Ok(Link {
                ends: ends.clone(),
                minute: supervisor.servers.minute(),
                source,
                destination,
                here,
                there,
                identity,
                source_seen,
                passed: Arc::default(),
                task: task.definition.name.to_string(),
                two_way: task.definition.two_way,
                objects: objects::of(&task.definition, direction, lower_case_table_names)?,
                options: task.definition.options_for(direction),
                counting: watch::Sender::default(),
                copied: watch::Sender::default(),
                gates: Arc::new(Gates::default()),
                former: Arc::new(std::sync::Mutex::new(former(
                    task,
                    direction,
                    lower_case_table_names,
                    &supervisor.store,
                )?)),
                pace: Arc::new(Pace::new(&task.definition.options_for(direction))),
                status: status.clone(),
                shared: shared.clone(),
                store: supervisor.store.clone(),
                key,
            })
        })
        .collect()
}

/// Objects that a link had before, as long as it has not come to those it has now.
fn former(
    task: &StoredTask,
    direction: Direction,
    lower_case_table_names: [u8; 2],
    store: &Store,
) -> Result<Vec<Former>, String> {
    let kept = store.former_objects(&task.definition.name, direction);
    let kept = kept.map_err(|cause| cause.to_string())?.into_iter();
    kept.map(|(number, rules)| {
        let mut definition = task.definition.clone();
        match direction {
            Direction::Forward => definition.objects = rules,
            Direction::Reverse => definition.reverse_objects = Some(rules),
        }
        let objects = objects::of(&definition, direction, lower_case_table_names)?;
        Ok(Former { number, objects })
    })
    .collect()
}

/// [`Supervisor`] as the admin statements see it.
#[derive(Debug, Clone)]
pub struct Controller(pub Arc<Supervisor>);

#[async_trait]
impl Control for Controller {
    async fn check_server(&self, server: &ServerDefinition) -> Vec<CheckStep> {
        let (steps, facts) = check::check_server(server).await;
        let failed = steps.iter().find(|step| step.result == "fail");
        let seen = ServerSeen {
            version: facts.as_ref().map(|facts| facts.version.clone()),
            server_uuid: facts.map(|facts| facts.server_uuid),
            state: if failed.is_some_and(|step| step.step == "connect") {
                "unreachable"
            } else {
                "reachable"
            }
            .to_owned(),
            last_error: failed
                .map(|step| format!("{}: {}", step.step, step.found))
                .unwrap_or_default(),
            ..ServerSeen::default()
        };
        self.0.servers.health(&server.name).looked_at(seen).await;
        steps
    }

    async fn start(&self, task: &TaskName) -> Result<(), ControlError> {
        self.0.begin(task, Depth::Whole).await
    }

    async fn precheck(&self, task: &TaskName) -> Result<Vec<PrecheckRow>, ControlError> {
        self.0.precheck(&self.0.stored(task)?, Depth::Whole).await
    }

    async fn acknowledge(&self, task: &TaskName, item: &str) -> Result<(), ControlError> {
        let name = self.0.stored(task)?.definition.name;
        let Some(item) = crate::precheck::item(item) else {
            let names: Vec<&str> = crate::precheck::items().map(|item| item.name).collect();
            return Err(error(
                NO_SUCH_ITEM,
                format!("the precheck has no item '{item}'; the items are: {}", names.join(", ")),
            ));
        };
        let store = self.0.store.clone();
        let done = tokio::task::spawn_blocking(move || store.acknowledge(&name, item.name)).await;
        let done = done.map_err(|cause| error(code::STORE, cause.to_string()))?;
        match done.map_err(|cause| store_error(&cause))? {
            true => Ok(()),
            false => Err(error(
                NOT_A_WARNING,
                format!(
                    "'{}' fails, and only a warning can be acknowledged; mend it (PRECHECK SYNC TASK {task} shows how)",
                    item.name
                ),
            )),
        }
    }

    async fn pause(&self, task: &TaskName) -> Result<(), ControlError> {
        self.0.halt(task, Wanted::Paused, State::Paused).await
    }

    async fn resume(&self, task: &TaskName) -> Result<(), ControlError> {
        self.0.begin(task, Depth::Servers).await
    }

    async fn stop(&self, task: &TaskName) -> Result<(), ControlError> {
        self.0.halt(task, Wanted::Stopped, State::Stopped).await
    }

    async fn drop_task(&self, task: &TaskName) -> Result<(), ControlError> {
        let stored = self.0.stored(task)?;
        if let Some((_, entry)) = self.0.tasks.remove(task) {
            end(&entry).await;
        }
        let key = task_key(&stored);
        for name in [&stored.definition.source, &stored.definition.destination] {
            let removed = async {
                let mut conn = connect::open(&self.0.server(name)?).await?;
                checkpoint::remove(&mut conn, &key).await
            };
            if let Err(failure) = removed.await {
                // Its rows harm nobody: a new task of the same name has another key.
                tracing::warn!(task = %task, server = %name, "rows of the dropped task stay behind: {failure}");
            }
        }
        Ok(())
    }

    async fn task_changed(&self, task: &TaskName) -> Result<(), ControlError> {
        self.0.renew(task).await
    }

    async fn alter_objects(
        &self,
        before: &TaskDefinition,
        after: &TaskDefinition,
        added: &[ObjectRule],
    ) -> Result<(), ControlError> {
        self.0.alter_objects(before, after, added).await
    }

    async fn server_changed(&self, server: &ServerName) -> Result<(), ControlError> {
        self.0.servers.changed(server);
        for task in self.0.store.tasks().map_err(|cause| store_error(&cause))? {
            if task.definition.source == *server || task.definition.destination == *server {
                self.0.renew(&task.definition.name).await?;
            }
        }
        Ok(())
    }

    async fn wait_synced(&self, task: &TaskName, timeout: Duration) -> Result<bool, ControlError> {
        let stored = self.0.stored(task)?;
        let entry = self.0.entry(&stored);
        let waiting = async {
            // The forward direction last: what the reverse one writes at the source may have to come back, where a
            // statement has replaced the rows of a table meanwhile.
            for status in entry.statuses.iter().rev() {
                let name = match status.direction() {
                    Direction::Forward => &stored.definition.source,
                    Direction::Reverse => &stored.definition.destination,
                };
                let executed = async {
                    let mut conn = connect::open_bare(&self.0.server(name)?).await?;
                    LogEnd::read(&mut conn).await
                };
                let executed = executed.await.map_err(|failure| error(NOT_STARTED, failure.message))?;
                let (mut applied, mut state) = (status.watch_applied(), status.watch_state());
                loop {
                    let done = applied.borrow_and_update().clone();
                    state.borrow_and_update();
                    let is_whole = !status.is_copying();
                    if status.is_past(&executed, &done) && status.state() == State::Running && is_whole {
                        break;
                    }
                    // One direction may wait for the other.
                    entry
                        .statuses
                        .iter()
                        .try_for_each(|status| can_come_in_step(task, status))?;
                    tokio::select! {
                        _ = applied.changed() => {}
                        _ = state.changed() => {}
                        () = tokio::time::sleep(LOOKED_AT) => {}
                    }
                }
            }
            Ok(true)
        };
        tokio::time::timeout(timeout, waiting).await.unwrap_or(Ok(false))
    }

    async fn publish(&self, tables: bool) {
        self.0.publish(tables).await;
    }
}

/// Whether a direction of a task that is waited for is on its way.
fn can_come_in_step(task: &TaskName, status: &LinkStatus) -> Result<(), ControlError> {
    let message = match status.state() {
        State::Failed => format!("task {task} has failed: {}", status.row().last_error),
        state @ (State::Created | State::Paused | State::Stopped) => {
            let why = status.row().last_error;
            let why = if why.is_empty() { why } else { format!(" ({why})") };
            format!("task {task} is {}{why}; START or RESUME it first", state.as_str())
        }
        _ => return Ok(()),
    };
    Err(error(code::TASK_STATE, message))
}

impl Supervisor {
    /// Brings the live status into the store, that of each table where told so.
    pub async fn publish(&self, tables: bool) {
        // A task has its rows from the moment it is made.
        match self.store.tasks() {
            Ok(stored) => {
                self.tasks
                    .retain(|name, _| stored.iter().any(|task| task.definition.name == *name));
                stored.iter().for_each(|task| drop(self.entry(task)));
            }
            Err(cause) => tracing::error!("the tasks can't be read: {cause}"),
        }
        let statuses: Vec<Arc<LinkStatus>> = self
            .tasks
            .iter()
            .flat_map(|entry| entry.value().statuses.clone())
            .collect();
        let store = self.store.clone();
        let written = tokio::task::spawn_blocking(move || {
            let tables = tables || store.objects_are_due();
            let rows: Vec<_> = statuses.iter().map(|status| status.row()).collect();
            let objects: Option<Vec<_>> = tables.then(|| statuses.iter().flat_map(|status| status.objects()).collect());
            store.publish(&rows, objects.as_deref())
        })
        .await;
        if let Ok(Err(cause)) = written {
            tracing::error!("the status can't be written down: {cause}");
        }
    }
}
