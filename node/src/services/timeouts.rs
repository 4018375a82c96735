//! How long facts are waited for.

use std::time::Duration;

/// A read that takes longer is a refusal: the response window is 3 s.
pub(super) const READ_TIMEOUT: Duration = Duration::from_millis(2_500);
