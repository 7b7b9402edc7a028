//! The real program, killed in the middle of its work: workers, the server, the database. Afterwards the run has ended
//! right, and what each command wrote while it ran shows that no step ever ran twice at once.

mod evidence;
mod kill;
mod slipway;
