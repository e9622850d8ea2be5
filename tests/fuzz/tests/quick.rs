//! Each reader against its examples, what was found before, and mutations, in seconds. More by `HPO_FUZZ_INPUTS`.
mod hold;

use hold::hold;

#[global_allocator]
static HEAP: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

#[test]
fn sweep_files() {
    hold("config", 400);
}

#[test]
fn journals_as_raw_bytes() {
    hold("journal", 1000);
}

#[test]
fn journals_with_right_checksums() {
    hold("journal-sealed", 2000);
}

#[test]
fn small_files_of_a_run_folder() {
    hold("folder", 3000);
}

#[test]
fn words_of_trainers_and_agents() {
    hold("lines", 2000);
}

#[test]
fn messages() {
    hold("wire", 20_000);
}

#[test]
fn words_at_the_door_of_the_sweep() {
    hold("engine", 1000);
}

#[test]
fn sessions_of_workers() {
    hold("session", 3000);
}

#[test]
fn tables_of_curves() {
    hold("curves", 2000);
}

#[test]
fn states_on_a_curve() {
    hold("pace", 3000);
}

#[test]
fn what_a_worker_reads_before_it_dials() {
    hold("dial", 2000);
}

#[test]
fn answers_of_squeue() {
    hold("queue", 5000);
}

#[cfg(feature = "surrogate")]
#[test]
fn encodings_of_a_surrogate() {
    hold("encoding", 3000);
}
