//! How long to wait so that no more than so many things a second are done. Time is passed in.

/// A budget that grows with time. What is done may overdraw it, as nobody knows beforehand how large it is; then the next
/// one waits until it is balanced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// A second; 0: no limit.
    rate: u64,
    /// What is left, in millionths.
    left: i128,
    at_us: u64,
}

impl Budget {
    /// Of `rate` a second; 0: no limit.
    pub fn new(rate: u64) -> Self {
        Self {
            rate,
            left: 0,
            at_us: 0,
        }
    }

    /// From the last question on.
    pub fn set_rate(&mut self, rate: u64) {
        self.rate = rate;
    }

    /// Microseconds until something may be done.
    pub fn wait_us(&mut self, now_us: u64) -> u64 {
        if self.rate == 0 {
            return 0;
        }
        let rate = i128::from(self.rate);
        let passed_us = i128::from(now_us.saturating_sub(self.at_us));
        self.at_us = now_us;
        // What was not used is kept for a tenth of a second, no longer.
        self.left = (self.left + passed_us * rate).min(rate * 100_000);
        let missing = (-self.left).max(0);
        u64::try_from((missing + rate - 1) / rate).unwrap_or(u64::MAX)
    }

    /// So much has been done.
    pub fn spend(&mut self, amount: u64) {
        if self.rate > 0 {
            self.left -= i128::from(amount) * 1_000_000;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rate: u64, steps: &[(u64, u64)], expected: &[u64]) {
        let mut budget = Budget::new(rate);
        budget.wait_us(0);
        let waits: Vec<u64> = steps
            .iter()
            .map(|(now_us, amount)| {
                let wait = budget.wait_us(*now_us);
                budget.spend(*amount);
                wait
            })
            .collect();
        assert_eq!(waits, expected, "{rate} {steps:?}");
    }

    #[test]
    fn what_overdraws_the_budget_is_waited_for_afterwards() {
        check(0, &[(0, 1 << 40), (0, 1)], &[0, 0]);
        check(
            1000,
            &[(0, 500), (0, 0), (400_000, 0), (500_000, 0)],
            &[0, 500_000, 100_000, 0],
        );
        // A long rest saves no more than a tenth of a second.
        check(1000, &[(60_000_000, 1100), (60_000_000, 0)], &[0, 1_000_000]);
        check(3, &[(0, 1), (0, 0)], &[0, 333_334]);
    }
}
