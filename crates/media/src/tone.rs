//! Tone mapping from high to standard dynamic range (ITU-R BT.2100 for the transfer functions, BT.2087 for the primaries).
//! The shader in `present::gl` computes the same.

use crate::colour::Transfer;

/// Luminance of diffuse white in HDR, in cd/m² (ITU-R BT.2408).
pub(crate) const WHITE: f32 = 203.0;
/// Peak luminance of the nominal HLG display, in cd/m².
pub(crate) const HLG_PEAK: f32 = 1000.0;
/// Light up to this part of diffuse white is kept; what is brighter is compressed into the rest.
pub(crate) const KNEE: f32 = 0.6;

/// From BT.2020's primaries to BT.709's, row by row (ITU-R BT.2087-0 section 4, inverted).
pub(crate) const TO_BT709: [[f32; 3]; 3] =
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]];

/// Converts 24-bit RGB from `transfer` to standard dynamic range, in place.
pub(crate) fn to_sdr(transfer: Transfer, rgb: &mut [u8]) {
    for pixel in rgb.chunks_exact_mut(3) {
        let sample = [pixel[0], pixel[1], pixel[2]].map(|value| f32::from(value) / 255.0);
        let mapped = pixel_to_sdr(transfer, sample);
        for (value, mapped) in pixel.iter_mut().zip(mapped) {
            *value = (mapped * 255.0).round().clamp(0.0, 255.0) as u8;
        }
    }
}

/// One pixel of red, green and blue, all values from 0 to 1.
fn pixel_to_sdr(transfer: Transfer, sample: [f32; 3]) -> [f32; 3] {
    let light = match transfer {
        Transfer::Standard => return sample,
        Transfer::Pq => sample.map(|value| pq(value) * 10_000.0 / WHITE),
        Transfer::Hlg => {
            let scene = sample.map(hlg);
            let luminance = 0.2627 * scene[0] + 0.6780 * scene[1] + 0.0593 * scene[2];
            let gain = luminance.max(1e-6).powf(0.2) * HLG_PEAK / WHITE;
            scene.map(|value| value * gain)
        }
    };
    let bt709 = TO_BT709.map(|row| row.iter().zip(light).map(|(weight, value)| weight * value).sum::<f32>().max(0.0));
    let brightest = bt709.into_iter().fold(0.0, f32::max);
    let scale = if brightest > KNEE {
        let over = (brightest - KNEE) / (1.0 - KNEE);
        (KNEE + (1.0 - KNEE) * over / (1.0 + over)) / brightest
    } else {
        1.0
    };
    bt709.map(|value| (value * scale).powf(1.0 / 2.2))
}

/// The light of a PQ value; 1 is 10 000 cd/m² (SMPTE ST 2084 section 5.1).
fn pq(value: f32) -> f32 {
    let root = value.clamp(0.0, 1.0).powf(32.0 / 2523.0);
    ((root - 0.835_937_5).max(0.0) / (18.851_563 - 18.6875 * root)).powf(8192.0 / 1305.0)
}

/// The scene light of an HLG value, from 0 to 1 (ITU-R BT.2100 table 5).
fn hlg(value: f32) -> f32 {
    const A: f32 = 0.178_832_77;
    const B: f32 = 0.284_668_92;
    const C: f32 = 0.559_910_7;
    let value = value.clamp(0.0, 1.0);
    if value <= 0.5 { value * value / 3.0 } else { (((value - C) / A).exp() + B) / 12.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_light() {
        // BT.2408: 203 cd/m\u{b2} is 58 % PQ and 75 % HLG; PQ's ends are 0 and 10 000.
        assert!((pq(0.5807) * 10_000.0 - WHITE).abs() < 3.0, "{}", pq(0.5807) * 10_000.0);
        assert!((pq(1.0) - 1.0).abs() < 1e-3 && pq(0.0) == 0.0);
        assert!((hlg(0.5) - 1.0 / 12.0).abs() < 1e-4 && (hlg(1.0) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn black_stays_black_white_becomes_bright_and_brighter_is_never_darker() {
        for transfer in [Transfer::Pq, Transfer::Hlg] {
            assert!(pixel_to_sdr(transfer, [0.0; 3]).iter().all(|value| *value < 0.01));
            let white = if transfer == Transfer::Pq { 0.58 } else { 0.75 };
            let shown = pixel_to_sdr(transfer, [white; 3]);
            assert!(shown.iter().all(|value| (0.85..0.97).contains(value)), "{shown:?}");
            let greys: Vec<f32> = (0..=100).map(|step| pixel_to_sdr(transfer, [step as f32 / 100.0; 3])[1]).collect();
            assert!(greys.windows(2).all(|pair| pair[0] <= pair[1] + 1e-4), "{greys:?}");
            assert!(greys.iter().all(|value| (0.0..=1.0).contains(value)));
        }
        assert_eq!(pixel_to_sdr(Transfer::Standard, [0.1, 0.2, 0.3]), [0.1, 0.2, 0.3]);
    }
}
