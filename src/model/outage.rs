//! How long something that fails is tried again: since when, until when, and how soon.
//!
//! Times are durations since an origin that the caller chooses once; nothing here knows a clock.

use std::time::Duration;

/// First wait; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Something that works, or has failed since some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outage {
    since: Option<Duration>,
    /// The window that ended first in this outage.
    given_up: Option<Duration>,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again after a while.
    Again {
        /// The while.
        wait: Duration,
        /// When it will not be tried any more.
        until: Duration,
    },
    /// This window has ended.
    GiveUp {
        /// Its length.
        window: Duration,
    },
}

impl Outage {
    /// It has failed, for the first time or again.
    pub fn failed(&mut self, now: Duration) {
        self.since.get_or_insert(now);
    }

    /// It works.
    pub fn over(&mut self) {
        *self = Self::default();
    }

    /// Since when it has failed.
    pub fn since(&self) -> Option<Duration> {
        self.since
    }

    /// What to do after a failure. Once a window has ended, it has ended for all who share the outage, however long
    /// their own is.
    pub fn verdict(&mut self, now: Duration, window: Duration, backoff: &mut Backoff, chance: f64) -> Verdict {
        let until = self.since.unwrap_or(now).saturating_add(window);
        if now >= until {
            self.given_up.get_or_insert(window);
        }
        if let Some(window) = self.given_up {
            return Verdict::GiveUp { window };
        }
        Verdict::Again {
            wait: backoff.next(chance).min(until.saturating_sub(now)),
            until,
        }
    }
}

/// Waits that grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backoff(Option<Duration>);

impl Backoff {
    /// Nothing has been waited for yet.
    pub fn is_fresh(&self) -> bool {
        self.0.is_none()
    }

    /// The next wait: up to a quarter shorter or longer than due, by `chance` from 0 to 1, so that links that failed
    /// together don't come back together.
    fn next(&mut self, chance: f64) -> Duration {
        let due = self.0.map_or(FIRST_WAIT, |last| (last * 2).min(LONGEST_WAIT));
        self.0 = Some(due);
        due.mul_f64(0.75 + 0.5 * chance.clamp(0.0, 1.0))
    }
}

/// A time in milliseconds since the Unix epoch as `YYYY-MM-DD HH:MM:SS`, in UTC.
pub fn utc(ms: u64) -> String {
    let (days, seconds) = (ms / 86_400_000, ms / 1000 % 86_400);
    // Years of 365.2425 days that begin in March, in eras of 400, counted from the year 0.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!(
        "{:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        era * 400 + year + carry,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn it_is_tried_again_until_the_window_ends_and_not_beyond() {
        let (mut outage, mut backoff) = (Outage::default(), Backoff::default());
        let mut now = MINUTE;
        let mut waits = Vec::new();
        let until = loop {
            outage.failed(now);
            match outage.verdict(now, 10 * MINUTE, &mut backoff, 0.5) {
                Verdict::Again { wait, until } => {
                    assert_eq!(until, 11 * MINUTE);
                    waits.push(wait.as_millis());
                    now += wait;
                }
                Verdict::GiveUp { .. } => break now,
            }
        };
        assert_eq!(until, 11 * MINUTE);
        assert_eq!(waits[..8], [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert!(waits.iter().all(|wait| (1..=30000).contains(wait)));
    }

    #[test]
    fn what_works_again_begins_anew() {
        let mut outage = Outage::default();
        outage.failed(MINUTE);
        outage.failed(2 * MINUTE);
        assert_eq!(outage.since(), Some(MINUTE));
        outage.over();
        assert_eq!(outage.since(), None);
        outage.failed(30 * MINUTE);
        let verdict = outage.verdict(31 * MINUTE, 10 * MINUTE, &mut Backoff::default(), 0.5);
        assert!(matches!(verdict, Verdict::Again { until, .. } if until == 40 * MINUTE));
    }

    #[test]
    fn the_window_that_ends_first_ends_it_for_all() {
        let mut outage = Outage::default();
        outage.failed(MINUTE);
        let mut verdict =
            |now: u32, window: u32| outage.verdict(now * MINUTE, window * MINUTE, &mut Backoff::default(), 0.0);
        assert!(matches!(verdict(5, 720), Verdict::Again { .. }));
        let window = 10 * MINUTE;
        assert_eq!(verdict(11, 10), Verdict::GiveUp { window });
        assert_eq!(verdict(11, 720), Verdict::GiveUp { window });
    }

    #[test]
    fn waits_vary_within_bounds() {
        for (chance, expected) in [(0.0, 375), (1.0, 625), (7.0, 625), (-1.0, 375)] {
            assert_eq!(Backoff::default().next(chance).as_millis(), expected, "{chance}");
        }
    }

    #[test]
    fn times_are_shown_in_utc() {
        for (ms, expected) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399_000, "2000-02-28 23:59:59"),
            (951_782_400_000, "2000-02-29 00:00:00"),
            (1_795_379_709_123, "2026-11-22 20:35:09"),
            (4_107_542_400_000, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(utc(ms), expected);
        }
    }
}
