//! Workers as array tasks of Slurm. What decides is pure and knows no clock and no process: [`queue`] reads what Slurm says,
//! [`limit`] paces what it is asked, [`scale`] decides how many tasks there should be, [`script`] writes what they run.
pub mod limit;
pub mod queue;
pub mod scale;
pub mod script;
