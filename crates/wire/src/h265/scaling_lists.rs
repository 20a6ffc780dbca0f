//! The scaling lists of an SPS, of which nothing is needed but their length.

use crate::syntax::rbsp::{BitError, BitReader};

/// Steps over scaling_list_data (clause 7.3.4).
pub(super) fn skip_scaling_lists(reader: &mut BitReader<'_>) -> Result<(), BitError> {
    for size_id in 0..4 {
        let matrices = if size_id == 3 { 2 } else { 6 };
        for _ in 0..matrices {
            if !reader.flag()? {
                reader.ue()?; // scaling_list_pred_matrix_id_delta
                continue;
            }
            if size_id > 1 {
                reader.se()?; // scaling_list_dc_coef_minus8
            }
            for _ in 0..64.min(1 << (4 + 2 * size_id)) {
                reader.se()?;
            }
        }
    }
    Ok(())
}
