//! The connections that have not logged in yet, and which of them go when there are too many.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::network::Network;

/// All connections that have not logged in.
pub(super) struct HalfOpen {
    /// Oldest first. At most `limit` of them, so that walking through them is nothing.
    entries: Mutex<Vec<Entry>>,
    next_number: AtomicU64,
    limit: usize,
    limit_per_network: usize,
}

struct Entry {
    number: u64,
    network: Network,
    lost: CancellationToken,
}

/// A connection's place among the half-open ones. It ends when this is dropped.
pub(super) struct Place {
    all: Arc<HalfOpen>,
    number: u64,
    lost: CancellationToken,
}

impl HalfOpen {
    pub(super) fn new(limit: usize, limit_per_network: usize) -> Arc<Self> {
        Arc::new(Self {
            entries: Mutex::default(),
            next_number: AtomicU64::new(0),
            limit,
            limit_per_network,
        })
    }

    /// Always gives a place; another connection may lose its own.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Place {
        let network = Network::of(address);
        let lost = CancellationToken::new();
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let mut entries = self.entries();
        entries.push(Entry {
            number,
            network,
            lost: lost.clone(),
        });
        if count(&entries, network) > self.limit_per_network {
            drop_oldest_of(&mut entries, network);
        }
        if entries.len() > self.limit
            && let Some(network) = most_frequent(&entries)
        {
            drop_oldest_of(&mut entries, network);
        }
        Place {
            all: Arc::clone(self),
            number,
            lost,
        }
    }

    /// Takes the place of the oldest connection, whoever it is.
    pub(super) fn drop_oldest(&self) {
        let mut entries = self.entries();
        if !entries.is_empty() {
            entries.remove(0).lost.cancel();
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(entries: &[Entry], network: Network) -> usize {
    entries.iter().filter(|entry| entry.network == network).count()
}

fn most_frequent(entries: &[Entry]) -> Option<Network> {
    let mut networks: Vec<Network> = entries.iter().map(|entry| entry.network).collect();
    networks.sort_unstable();
    let runs = networks.chunk_by(PartialEq::eq);
    runs.max_by_key(|run| run.len()).and_then(|run| run.first().copied())
}

fn drop_oldest_of(entries: &mut Vec<Entry>, network: Network) {
    if let Some(at) = entries.iter().position(|entry| entry.network == network) {
        entries.remove(at).lost.cancel();
    }
}

impl Place {
    /// Returns when another connection took this place.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.entries().retain(|entry| entry.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets connections from `addresses` in, one after the other, and says which lost their place.
    fn losers(limit: usize, limit_per_network: usize, addresses: &[&str]) -> Vec<usize> {
        let all = HalfOpen::new(limit, limit_per_network);
        let places: Vec<Place> = addresses.iter().map(|a| all.enter(a.parse().unwrap())).collect();
        (0..places.len()).filter(|at| places[*at].lost.is_cancelled()).collect()
    }

    #[test]
    fn the_oldest_of_the_greediest_address_goes() {
        let check = |addresses: &[&str], expected: &[usize]| assert_eq!(losers(5, 3, addresses), expected);
        check(&["10.0.0.1"; 3], &[]);
        check(&["10.0.0.1"; 5], &[0, 1]);
        check(&["10.0.0.9", "10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1"], &[1]);
        check(
            &["10.0.0.9", "10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"],
            &[1],
        );
        check(&["::ffff:10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1"], &[0]);
        check(&["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"], &[0]);
        check(
            &["2001:db8::1", "2001:db8:0:1::2", "2001:db8:0:2::3", "2001:db8:0:3::4"],
            &[],
        );
    }

    #[test]
    fn a_place_that_was_left_is_free_again() {
        let all = HalfOpen::new(2, 2);
        let address = "10.0.0.1".parse().unwrap();
        let first = all.enter(address);
        for _ in 0..10 {
            drop(all.enter(address));
        }
        assert!(!first.lost.is_cancelled());
        let second = all.enter(address);
        drop(all.enter(address));
        assert!(first.lost.is_cancelled());
        drop(first);
        assert_eq!(all.entries().len(), 1);
        all.drop_oldest();
        assert!(second.lost.is_cancelled());
    }
}
