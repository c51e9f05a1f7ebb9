//! A temporary folder and the processes at work in it. All of it is gone when its owner is.
//!
//! Tests and the demo start real servers, and must not leave one behind, however they end: a panic, Ctrl-C, even
//! SIGKILL, where no code of ours runs any more. So each den has a watchdog: a small shell in its own process group
//! that does nothing but read from a pipe whose other end the owner holds. When the owner is gone the kernel closes
//! the pipe, and the watchdog kills what is listed in `pids/` and removes the folder.
//!
//! A process lists itself before it turns into the program (`exec` keeps the process id) and looks whether the
//! den is over *after* that; the watchdog marks it as over *before* it reads the list. Whichever comes first, no
//! process stays.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const WATCHDOG: &str = r#"
trap '' INT TERM HUP
while read -r _; do :; done
: >"$1/over"
for list in "$1"/pids/*; do
  read -r pid <"$list" && kill -9 "$pid"
done
tries=0
until rm -rf "$1" || [ "$tries" -ge 100 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
"#;

const ENTRANCE: &str = r#"echo $$ >"$1" && [ ! -e "$2/over" ] && shift 2 && exec "$@""#;

/// A temporary folder with a watchdog. Dropping it kills its processes and removes the folder.
#[derive(Debug)]
pub struct Den {
    dir: PathBuf,
    watchdog: Child,
}

impl Den {
    /// Makes a folder under the system's temporary folder (`TMPDIR`); `name` is part of its name.
    pub fn new(name: &str) -> io::Result<Self> {
        let folder = format!("causeway-{name}-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let dir = std::path::absolute(std::env::temp_dir())?.join(folder);
        fs::create_dir(&dir)?;
        fs::create_dir(dir.join("pids"))?;
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "causeway-watchdog"])
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .inspect_err(|_| drop(fs::remove_dir_all(&dir)))?;
        Ok(Self { dir, watchdog })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts a program that ends with this den. Its output is appended to `log`; it reads nothing. It has its own
    /// process group, so Ctrl-C in the owner's terminal does not reach it.
    ///
    /// Program, arguments and environment variables are taken from `command`; its other settings are not.
    pub fn spawn(&self, command: &Command, log: &Path) -> io::Result<Resident> {
        let list = self.dir.join("pids").join(format!("{:016x}", rand::random::<u64>()));
        let output = fs::File::options().create(true).append(true).open(log)?;
        let mut entrance = Command::new("sh");
        entrance
            .args([OsStr::new("-c"), OsStr::new(ENTRANCE), OsStr::new("causeway-entrance")])
            .args([list.as_os_str(), self.dir.as_os_str()])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .current_dir(&self.dir)
            .process_group(0);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => entrance.env(name, value),
                None => entrance.env_remove(name),
            };
        }
        Ok(Resident {
            child: entrance.spawn()?,
            list,
        })
    }
}

impl Drop for Den {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        self.watchdog.wait().ok();
    }
}

/// A process in a den. Dropping it kills it.
#[derive(Debug)]
pub struct Resident {
    child: Child,
    list: PathBuf,
}

impl Resident {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> io::Result<Option<std::process::ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            fs::remove_file(&self.list).ok();
        }
        Ok(status)
    }

    /// Asks it to end, with SIGTERM.
    pub fn terminate(&self) -> io::Result<()> {
        let pid = self.pid().to_string();
        let status = Command::new("sh")
            .args(["-c", r#"kill -TERM "$1""#, "kill", &pid])
            .stderr(Stdio::null())
            .status()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("cannot send SIGTERM to process {pid}"))),
        }
    }

    /// Ends it at once, with SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        fs::remove_file(&self.list).ok();
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn a_den_that_is_dropped_takes_its_processes_and_its_folder_along() {
        let den = Den::new("unit").unwrap();
        let dir = den.dir().to_path_buf();
        let mut command = Command::new("sleep");
        command.arg("600");
        let resident = den.spawn(&command, &dir.join("log")).unwrap();
        let pid = resident.pid();
        assert!(alive(pid) && dir.exists());
        drop(resident);
        drop(den);
        assert!(!alive(pid) && !dir.exists());
    }

    #[test]
    fn the_watchdog_kills_what_its_owner_left_running() {
        let den = Den::new("unit").unwrap();
        let dir = den.dir().to_path_buf();
        let mut command = Command::new("sh");
        command.args(["-c", "echo ready; exec sleep 600"]);
        let log = dir.join("log");
        let mut resident = den.spawn(&command, &log).unwrap();
        while fs::read_to_string(&log).unwrap() != "ready\n" {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        drop(den);
        // Killed by the watchdog, not by us: only then does waiting end by itself.
        let status = resident.child.wait().unwrap();
        assert!(!status.success());
        assert!(!dir.exists());
    }

    #[test]
    fn environment_variables_and_exit_status_pass_through() {
        let den = Den::new("unit").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "exit $CODE"]).env("CODE", "7");
        let mut resident = den.spawn(&command, &den.dir().join("log")).unwrap();
        let status = loop {
            if let Some(status) = resident.ended().unwrap() {
                break status;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        assert_eq!(status.code(), Some(7));
    }
}
