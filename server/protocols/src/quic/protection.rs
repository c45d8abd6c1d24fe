//! The keys of Initial packets (RFC 9001, sections 5.2 and 5.4).

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;

/// RFC 9369.
pub(super) const VERSION_2: u32 = 0x6b33_43cf;

/// Those of the client.
pub(super) struct Keys {
    packet: Aes128,
    iv: [u8; 12],
    header: Aes128,
}

impl Keys {
    /// Of a version and the destination's id in the client's first packet; `None` for a version whose salt is not known here.
    pub(super) fn of(version: u32, destination: &[u8]) -> Option<Self> {
        let (salt, prefix): (&[u8; 20], &str) = match version {
            1 => (&SALT_1, "quic"),
            VERSION_2 => (&SALT_2, "quicv2"),
            0xff00_001d..=0xff00_0020 => (&SALT_DRAFT_29, "quic"),
            0xff00_0021..=0xff00_00ff => (&SALT_1, "quic"),
            _ => return None,
        };
        let initial = Hkdf::<Sha256>::new(Some(salt), destination);
        let secret: [u8; 32] = expand(&initial, "client in")?;
        let client = Hkdf::<Sha256>::from_prk(&secret).ok()?;
        let key: [u8; 16] = expand(&client, &format!("{prefix} key"))?;
        let header: [u8; 16] = expand(&client, &format!("{prefix} hp"))?;
        Some(Self {
            packet: Aes128::new(&key.into()),
            iv: expand(&client, &format!("{prefix} iv"))?,
            header: Aes128::new(&header.into()),
        })
    }

    /// What hides the first byte and the number of a packet (section 5.4.3).
    pub(super) fn mask(&self, sample: [u8; 16]) -> [u8; 16] {
        let mut block = sample.into();
        self.header.encrypt_block(&mut block);
        block.into()
    }

    /// Takes the cipher off a packet's payload: AES in counter mode, as AEAD_AES_128_GCM has it (NIST SP 800-38D, section 6.5).
    pub(super) fn open(&self, number: u64, payload: &mut [u8]) {
        let mut nonce = self.iv;
        for (byte, other) in nonce
            .iter_mut()
            .rev()
            .zip(number.to_be_bytes().iter().rev())
        {
            *byte ^= other;
        }
        // The first counter is the seal's.
        for (counter, chunk) in (2_u32..).zip(payload.chunks_mut(16)) {
            let mut block = [0; 16];
            for (byte, source) in block
                .iter_mut()
                .zip(nonce.iter().chain(&counter.to_be_bytes()))
            {
                *byte = *source;
            }
            let mut block = block.into();
            self.packet.encrypt_block(&mut block);
            for (byte, key) in chunk.iter_mut().zip(block) {
                *byte ^= key;
            }
        }
    }
}

/// HKDF-Expand-Label (RFC 8446, section 7.1) with an empty context.
fn expand<const N: usize>(secret: &Hkdf<Sha256>, label: &str) -> Option<[u8; N]> {
    let length = u16::try_from(N).ok()?.to_be_bytes();
    let label_length = u8::try_from("tls13 ".len() + label.len()).ok()?;
    let mut out = [0; N];
    let info: [&[u8]; 5] = [&length, &[label_length], b"tls13 ", label.as_bytes(), &[0]];
    secret.expand_multi_info(&info, &mut out).ok()?;
    Some(out)
}

/// RFC 9001, section 5.2.
const SALT_1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad,
    0xcc, 0xbb, 0x7f, 0x0a,
];
/// RFC 9369, section 3.3.1.
const SALT_2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb,
    0xf9, 0xbd, 0x2e, 0xd9,
];
/// draft-ietf-quic-tls-29, section 5.2; until draft 32.
const SALT_DRAFT_29: [u8; 20] = [
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0,
    0x43, 0x90, 0xa8, 0x99,
];
