//! The tasks that hyper starts for HTTP/2 towards the upstream, as tasks of the worker's own thread.

use std::future::Future;

/// Spawns on the thread it is called on, so that nothing needs to be `Send`.
#[derive(Clone, Copy)]
pub(crate) struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        // As it is: in an `async` block it would be there twice, and be moved at twice its size.
        tokio::task::spawn_local(future);
    }
}
