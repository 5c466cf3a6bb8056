//! Several nodes' rooms in one process, on one store, with time that stands still while anything
//! can be done; and the decisions of those who serve, by input and exact effects.

#[cfg(feature = "simulation")]
mod bus;
mod decisions;
#[cfg(feature = "simulation")]
mod hand_over;
#[cfg(feature = "simulation")]
mod nodes;
