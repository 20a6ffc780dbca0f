//! The last stage: a picture's planes onto the screen, by OpenGL.
//!
//! A [`PicturePainter`] keeps three textures of one byte a sample. [`PicturePainter::upload`] copies the planes into them
//! as they are; [`PicturePainter::draw`] fills the viewport, and the fragment shader converts by the picture's own matrix
//! and range ([`Conversion`]). Nothing is converted on the processor, and nothing is read back.
//!
//! All functions must be called where the [`glow::Context`] is current, which is where a window hands one out: in its
//! paint callback.

mod conversion;
#[allow(unsafe_code)]
mod gl;

pub use conversion::Conversion;
pub use gl::PicturePainter;

/// Why pictures cannot be drawn here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresentError {
    /// Textures of one byte a sample came with OpenGL 3.0 and OpenGL ES 3.0.
    #[error("the graphics driver offers OpenGL {0}, and 3.0 is needed; install a newer driver, or use --headless")]
    TooOld(String),
    /// The driver refused the shader or an object.
    #[error("the graphics driver refused to draw pictures ({0}); install a newer driver, or use --headless")]
    Driver(String),
}
