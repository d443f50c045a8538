//! One request: [`pipeline`] decides, [`forward`] sends, [`answer`] says why not.
//!
//! Everything here lives on one worker thread: state is in `Rc` and `Cell`, and no future needs to be `Send`.

pub mod admin;
pub(crate) mod allowance;
pub mod answer;
pub mod body;
pub mod clock;
pub mod control_socket;
pub(crate) mod deadlines;
pub mod exchange;
pub mod forward;
pub mod ids;
pub mod local;
pub mod pipeline;
mod prove;
pub mod remembered;
mod repeated;
mod rewound;
mod send;
pub(crate) mod streams;
pub(crate) mod upgrade;
mod upload;
pub(crate) mod upstream;
mod websocket;
pub mod worker;

pub use worker::{Connection, Worker};
