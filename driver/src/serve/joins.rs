//! How often workers may come. Each coming is a line of the journal, so that one that dials, says hello and hangs up in a
//! loop would fill the disk.
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// So many may come at once: all there can be, when a driver is back.
const AT_ONCE: f64 = super::SESSIONS_MAX as f64;
/// And so many a second from then on.
pub(super) const A_SECOND: f64 = 50.0;

/// Counts those who come.
#[derive(Debug)]
pub(super) struct Joins(Mutex<Bucket>);

impl Joins {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Bucket { left: AT_ONCE, at: Instant::now() }))
    }

    /// Whether one more may come now.
    pub(super) fn one(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
    }
}

/// Pure: time comes in.
#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        self.left = (self.left + now.duration_since(self.at).as_secs_f64() * A_SECOND).min(AT_ONCE);
        self.at = now;
        let there_is = self.left >= 1.0;
        self.left -= f64::from(u8::from(there_is));
        there_is
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_may_come_at_once_and_then_so_many_a_second() {
        let now = Instant::now();
        let mut bucket = Bucket { left: AT_ONCE, at: now };
        let come = |bucket: &mut Bucket, at: Instant| (0..2 * super::super::SESSIONS_MAX).filter(|_| bucket.take(at)).count();
        assert_eq!(come(&mut bucket, now), super::super::SESSIONS_MAX);
        assert_eq!(come(&mut bucket, now + Duration::from_secs(2)), 100);
        assert_eq!(come(&mut bucket, now + Duration::from_secs(86_400)), super::super::SESSIONS_MAX);
    }
}
