//! Mutations of good input, by a seed: the same seed gives the same inputs on every machine.
//!
//! libFuzzer does this better, led by coverage, but needs a nightly compiler; crates that mutate values by their type know
//! nothing of texts and numbers in them. What breaks readers of texts is known: numbers at their limits, things twice,
//! missing or cut off, deep nesting, long runs.
use std::ops::Range;

use hpo_core::Seed;
use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};

/// Longer inputs are cut.
const LONGEST: usize = 256 << 10;

const NUMBERS: [&str; 20] = [
    "0",
    "-0",
    "-1",
    "1",
    "255",
    "256",
    "65535",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1e308",
    "1e-308",
    "-1e999",
    "0.1",
    "\"nan\"",
];

const WORDS: [&str; 20] = [
    "nan", "inf", "null", "true", "[]", "{}", "\"\"", "\u{0}", "\u{fffd}", "é", "𝛼", "\u{202e}", "\r\n", "\n", "\"", "\\", "../",
    "${HOME}", "{", "[",
];

const BYTES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, 0xfe, b'\n', b'"'];

/// An endless source of inputs.
#[derive(Debug)]
pub struct Mutator<'a> {
    examples: &'a [Vec<u8>],
    words: &'a [&'a str],
    rng: ChaCha8Rng,
}

impl<'a> Mutator<'a> {
    /// Inputs that come from these examples, at least one, with these words of the format.
    #[must_use]
    pub fn new(examples: &'a [Vec<u8>], words: &'a [&'a str], seed: Seed) -> Self {
        assert!(!examples.is_empty(), "nothing to mutate");
        Self { examples, words, rng: seed.rng() }
    }

    /// The next input.
    pub fn input(&mut self) -> Vec<u8> {
        let mut input = self.example().to_vec();
        for _ in 0..1 + self.below(6) {
            self.change(&mut input);
            input.truncate(LONGEST);
        }
        input
    }

    fn example(&mut self) -> &'a [u8] {
        self.examples.choose(&mut self.rng).map_or(&[], Vec::as_slice)
    }

    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.rng.random_range(0..end) }
    }

    fn range(&mut self, input: &[u8], most: usize) -> Range<usize> {
        let start = self.below(input.len() + 1);
        let length = self.below((input.len() - start).min(most) + 1);
        start..start + length
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        match self.below(13) {
            0 => self.flip(input),
            1 => input.truncate(self.below(input.len() + 1)),
            2 => drop(input.drain(self.range(input, 64))),
            3 => self.insert_again(input),
            4 => self.splice(input),
            5 | 6 => self.replace_number(input),
            7 | 8 => self.insert_word(input),
            9 => self.overwrite(input),
            10 => self.repeat(input),
            11 => self.move_line(input),
            _ => self.replace_word(input),
        }
    }

    fn flip(&mut self, input: &mut [u8]) {
        let at = self.below(input.len());
        let bit = self.below(8);
        if let Some(byte) = input.get_mut(at) {
            *byte ^= 1 << bit;
        }
    }

    fn insert_again(&mut self, input: &mut Vec<u8>) {
        let part = input[self.range(input, 4096)].to_vec();
        let times = 1 + self.below(3);
        let at = self.below(input.len() + 1);
        input.splice(at..at, part.repeat(times));
    }

    fn splice(&mut self, input: &mut Vec<u8>) {
        let other = self.example();
        let part = &other[self.range(other, other.len())];
        let at = self.range(input, 4096);
        input.splice(at, part.iter().copied());
    }

    /// A run of digits becomes a number that is seldom thought of.
    fn replace_number(&mut self, input: &mut Vec<u8>) {
        let starts = |at: &usize| input[*at].is_ascii_digit() && (*at == 0 || !input[*at - 1].is_ascii_digit());
        let numbers: Vec<usize> = (0..input.len()).filter(starts).collect();
        let Some(&start) = numbers.choose(&mut self.rng) else { return self.overwrite(input) };
        let length = input[start..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        let number = NUMBERS[self.below(NUMBERS.len())];
        input.splice(start..start + length, number.bytes());
    }

    fn word(&mut self) -> &'a str {
        if !self.words.is_empty() && self.below(2) == 0 { self.words[self.below(self.words.len())] } else { WORDS[self.below(WORDS.len())] }
    }

    fn insert_word(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let word = self.word();
        input.splice(at..at, word.bytes());
    }

    /// A run of letters becomes another word of the format.
    fn replace_word(&mut self, input: &mut Vec<u8>) {
        let letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
        let starts = |at: &usize| letter(&input[*at]) && (*at == 0 || !letter(&input[*at - 1]));
        let words: Vec<usize> = (0..input.len()).filter(starts).collect();
        let Some(&start) = words.choose(&mut self.rng) else { return self.flip(input) };
        let length = input[start..].iter().take_while(|byte| letter(byte)).count();
        let word = self.word();
        input.splice(start..start + length, word.bytes());
    }

    /// Up to eight bytes become others, as a binary format has its lengths.
    fn overwrite(&mut self, input: &mut [u8]) {
        let at = self.below(input.len());
        let width = 1 << self.below(4);
        let byte = BYTES[self.below(BYTES.len())];
        let random = self.below(3) == 0;
        for place in input.iter_mut().skip(at).take(width) {
            *place = if random { (self.rng.next_u32() & 0xff) as u8 } else { byte };
        }
    }

    /// A few bytes, many times: deep nesting, long names, wide tables.
    fn repeat(&mut self, input: &mut Vec<u8>) {
        let part = input[self.range(input, 8)].to_vec();
        let times = 1 << (4 + self.below(10));
        let at = self.below(input.len() + 1);
        input.splice(at..at, part.repeat(times));
    }

    /// A line is taken out, and perhaps comes back elsewhere, once or twice.
    fn move_line(&mut self, input: &mut Vec<u8>) {
        let mut lines: Vec<Vec<u8>> = input.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
        if lines.is_empty() {
            return;
        }
        let line = lines.remove(self.below(lines.len()));
        for _ in 0..self.below(3) {
            lines.insert(self.below(lines.len() + 1), line.clone());
        }
        *input = lines.concat();
    }
}
