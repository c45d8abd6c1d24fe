//! Whether a piece of text looks like a token: length, alphabet, entropy, known prefixes.
