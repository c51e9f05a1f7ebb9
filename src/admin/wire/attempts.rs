//! Wrong passwords per address, and how long an address that sends many of them has to wait.
//!
//! Each wrong password beyond the free ones doubles the wait. While it lasts, connections from there are turned away
//! before they are greeted, and those that were greeted before are refused whatever they prove: otherwise guesses made
//! side by side would not count. A right password takes nothing back, or whoever has an account could guess at others;
//! time does.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::SqlError;
use super::network::Network;

/// How many networks are remembered. One more, and the one that has been quiet for longest is forgotten.
const NETWORKS_MAX: usize = 4096;

/// An address that has been quiet for so long begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);

/// What is held against an address.
struct Policy {
    /// Wrong passwords without a wait.
    free: u32,
    /// The longest wait.
    longest: Duration,
}

const STRANGERS: Policy = Policy {
    free: 10,
    longest: Duration::from_secs(15 * 60),
};

/// Whoever is on this machine may be anyone, a monitor with an old password as well as the operator. Guesses are slowed
/// down, but nobody is kept out for long.
const THIS_MACHINE: Policy = Policy {
    free: 100,
    longest: Duration::from_secs(10),
};

impl Policy {
    fn of(network: Network) -> &'static Policy {
        if network.is_loopback() {
            &THIS_MACHINE
        } else {
            &STRANGERS
        }
    }

    fn wait_after(&self, failures: u32) -> Option<Duration> {
        let doublings = failures.checked_sub(self.free)?;
        let wait = Duration::from_secs(1 << doublings.min(20));
        Some(wait.min(self.longest))
    }
}

#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<Network, Failures>>);

struct Failures {
    count: u32,
    last: Instant,
    blocked_until: Option<Instant>,
}

/// An address that has to wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Blocked {
    failures: u32,
    rest: Duration,
}

impl Blocked {
    /// What the client is told.
    pub(super) fn answer(&self, address: IpAddr) -> SqlError {
        let seconds = self.rest.as_secs_f64().ceil();
        let message = format!(
            "Host '{}' is blocked for {seconds} s because of {} wrong passwords; try again then, or from another address",
            address.to_canonical(),
            self.failures
        );
        SqlError::new(1129, "HY000", message)
    }
}

impl Attempts {
    /// Whether clients from there have to wait.
    pub(super) fn check(&self, address: IpAddr, now: Instant) -> Result<(), Blocked> {
        let networks = self.networks();
        match networks.get(&Network::of(address)) {
            Some(failures) => failures.check(now),
            None => Ok(()),
        }
    }

    /// A client from there has proven its password, or not. An error says that it has to wait in any case.
    pub(super) fn judge(&self, address: IpAddr, proven: bool, now: Instant) -> Result<(), Blocked> {
        let network = Network::of(address);
        let mut networks = self.networks();
        if let Some(failures) = networks.get(&network) {
            failures.check(now)?;
            if failures.is_forgotten(now) {
                networks.remove(&network);
            }
        }
        if proven {
            return Ok(());
        }
        if networks.len() >= NETWORKS_MAX
            && !networks.contains_key(&network)
            && let Some(quietest) = networks.iter().min_by_key(|(_, failures)| failures.last)
        {
            let quietest = *quietest.0;
            networks.remove(&quietest);
        }
        let failures = networks.entry(network).or_insert(Failures {
            count: 0,
            last: now,
            blocked_until: None,
        });
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        let wait = Policy::of(network).wait_after(failures.count);
        failures.blocked_until = wait.map(|wait| now + wait);
        if let Some(wait) = wait {
            let (host, count) = (address.to_canonical(), failures.count);
            tracing::warn!(
                "{host} has sent {count} wrong passwords: it has to wait for {} s",
                wait.as_secs()
            );
        }
        Ok(())
    }

    fn networks(&self) -> MutexGuard<'_, HashMap<Network, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failures {
    fn check(&self, now: Instant) -> Result<(), Blocked> {
        let rest = self.blocked_until.map(|until| until.saturating_duration_since(now));
        match rest.filter(|rest| !rest.is_zero()) {
            Some(rest) => Err(Blocked {
                failures: self.count,
                rest,
            }),
            None => Ok(()),
        }
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        let quiet_since = self.blocked_until.unwrap_or(self.last);
        now.saturating_duration_since(quiet_since) > FORGOTTEN_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Sends wrong passwords, always as soon as that is allowed, and returns the waits in seconds.
    fn waits(attempts: &Attempts, from: &str, now: &mut Instant, wrong: usize) -> Vec<u64> {
        let from = address(from);
        let mut waits = Vec::new();
        for _ in 0..wrong {
            attempts.judge(from, false, *now).unwrap();
            if let Err(blocked) = attempts.check(from, *now) {
                waits.push(blocked.rest.as_secs());
                assert_eq!(
                    attempts.judge(from, true, *now),
                    Err(blocked),
                    "not even with the right one"
                );
                *now += Duration::from_secs(*waits.last().unwrap());
            }
            assert_eq!(attempts.check(from, *now), Ok(()));
        }
        waits
    }

    #[test]
    fn each_wrong_password_beyond_the_free_ones_doubles_the_wait() {
        let attempts = Attempts::default();
        let mut now = Instant::now();
        assert_eq!(waits(&attempts, "10.0.0.1", &mut now, 9), [0; 0]);
        assert_eq!(waits(&attempts, "10.0.0.1", &mut now, 5), [1, 2, 4, 8, 16]);
        assert_eq!(waits(&attempts, "10.0.0.1", &mut now, 20).last(), Some(&900));
        // A right one takes nothing back.
        attempts.judge(address("10.0.0.1"), true, now).unwrap();
        assert_eq!(waits(&attempts, "10.0.0.1", &mut now, 1), [900]);
        // Others are not touched, whoever shares the network is.
        assert_eq!(waits(&attempts, "10.0.0.2", &mut now, 9), [0; 0]);
        let mut later = now;
        waits(&attempts, "2001:db8::1", &mut later, 9);
        attempts.judge(address("2001:db8::1"), false, later).unwrap();
        assert!(attempts.check(address("2001:db8::99"), later).is_err());
        assert!(attempts.check(address("2001:db8:0:1::1"), later).is_ok());
        // Quiet for long enough: forgotten.
        now += FORGOTTEN_AFTER + Duration::from_secs(1);
        assert_eq!(waits(&attempts, "10.0.0.1", &mut now, 9), [0; 0]);
    }

    #[test]
    fn this_machine_is_only_slowed_down() {
        let attempts = Attempts::default();
        let mut now = Instant::now();
        assert_eq!(waits(&attempts, "127.0.0.1", &mut now, 99), [0; 0]);
        assert_eq!(waits(&attempts, "127.0.0.1", &mut now, 7), [1, 2, 4, 8, 10, 10, 10]);
        assert_eq!(waits(&attempts, "::1", &mut now, 99), [0; 0]);
    }

    #[test]
    fn no_flood_of_addresses_takes_more_memory_or_pardons_who_is_active() {
        let attempts = Attempts::default();
        let now = Instant::now();
        let judge = |address: IpAddr, ms: u64| attempts.judge(address, false, now + Duration::from_millis(ms));
        for number in 0..20_000_u32 {
            let from = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0b00_0000 + number));
            judge(from, u64::from(number) / 20).unwrap();
            if number % 2000 == 0 {
                judge(address("10.0.0.1"), u64::from(number) / 20).unwrap();
            }
        }
        assert_eq!(attempts.networks().len(), NETWORKS_MAX);
        assert!(
            attempts
                .check(address("10.0.0.1"), now + Duration::from_millis(900))
                .is_err()
        );
    }

    #[test]
    fn the_client_is_told_how_long() {
        let blocked = Blocked {
            failures: 12,
            rest: Duration::from_millis(3200),
        };
        let error = blocked.answer(address("::ffff:10.0.0.1"));
        assert_eq!(error.code, 1129);
        assert!(
            error
                .message
                .starts_with("Host '10.0.0.1' is blocked for 4 s because of 12 wrong passwords")
        );
    }
}
