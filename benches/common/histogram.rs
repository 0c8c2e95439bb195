//! Latencies in buckets that widen with the value, after HdrHistogram: 64 to each power of two,
//! so that a figure read back is at most 1.6 % too high.

use std::time::Duration;

const STEPS: u64 = 64;
/// Enough powers of two for about 18 minutes; whatever is longer counts as that.
const BUCKETS: usize = 35 * STEPS as usize;

pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0 }
    }

    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// The latency that the given share of all latencies does not exceed; zero when there are none.
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return Duration::from_nanos(upper_edge(index as u64));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < STEPS {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - STEPS.ilog2();
    let index = u64::from(shift) * STEPS + (nanos >> shift);
    (index as usize).min(BUCKETS - 1)
}

fn upper_edge(index: u64) -> u64 {
    if index < STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    ((index % STEPS + STEPS + 1) << shift) - 1
}
