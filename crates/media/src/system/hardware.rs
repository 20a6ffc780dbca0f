//! What this computer is made of, for a report.

use windows::Win32::Graphics::Dxgi::{CreateDXGIFactory1, DXGI_ADAPTER_DESC1, IDXGIFactory1};
use windows::Win32::System::SystemInformation::{GetVersionExW, OSVERSIONINFOW};

/// The system's version, such as `Windows 10.0.22631`.
pub fn version() -> Option<String> {
    let size = size_of::<OSVERSIONINFOW>() as u32;
    let mut version = OSVERSIONINFOW { dwOSVersionInfoSize: size, ..Default::default() };
    // SAFETY: a structure that says its size.
    unsafe { GetVersionExW(&mut version) }.ok()?;
    Some(format!("Windows {}.{}.{}", version.dwMajorVersion, version.dwMinorVersion, version.dwBuildNumber))
}

/// The graphics adapters: model and own memory in MiB.
pub fn graphics() -> Vec<String> {
    // SAFETY: no argument; each adapter is asked for by its index until there is none.
    let adapters = unsafe {
        let Ok(factory) = CreateDXGIFactory1::<IDXGIFactory1>() else { return Vec::new() };
        (0..).map_while(|index| factory.EnumAdapters1(index).ok()?.GetDesc1().ok()).collect::<Vec<_>>()
    };
    adapters.iter().map(describe).collect()
}

fn describe(adapter: &DXGI_ADAPTER_DESC1) -> String {
    let name = String::from_utf16_lossy(&adapter.Description);
    format!("{}, {} MiB", name.trim_end_matches('\0'), adapter.DedicatedVideoMemory >> 20)
}
