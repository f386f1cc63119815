//! A protocol's machinery driven together with what waits for it, without a task that could outlive a run.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};

use futures::future::Fuse;

/// Waits for `work`, and drives `connection` meanwhile. That the connection has ended is for `work` to find out.
pub async fn alongside<C: Future, F: Future>(mut connection: Pin<&mut Fuse<C>>, work: F) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|context| {
        let _ended = connection.as_mut().poll(context);
        work.as_mut().poll(context)
    })
    .await
}
