//! Judges accept what is right and refuse what is not.
mod bad;
mod cluster;
mod good;
mod jobs;
