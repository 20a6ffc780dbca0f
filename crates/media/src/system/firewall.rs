//! What Windows Firewall does with connections to this program.

use windows::Win32::NetworkManagement::WindowsFirewall::{
    INetFwMgr, NET_FW_IP_PROTOCOL_TCP, NET_FW_IP_VERSION_ANY, NetFwMgr,
};
use windows::Win32::System::Com::{
    CLSCTX_INPROC_SERVER, COINIT_MULTITHREADED, CoCreateInstance, CoInitializeEx, CoUninitialize,
};
use windows::Win32::System::Variant::VARIANT;
use windows::core::BSTR;

/// Whether the firewall lets other computers connect to this program on a TCP port; `None` if it does not say. It takes some
/// milliseconds.
pub fn lets_in(port: u16) -> Option<bool> {
    let program = BSTR::from(std::env::current_exe().ok()?.to_str()?);
    // SAFETY: this thread uses no COM object beyond `ask`; every successful call is matched below.
    let is_initialized = unsafe { CoInitializeEx(None, COINIT_MULTITHREADED) }.is_ok();
    let answer = ask(&program, port);
    if is_initialized {
        // SAFETY: see above.
        unsafe { CoUninitialize() };
    }
    answer
}

fn ask(program: &BSTR, port: u16) -> Option<bool> {
    let (mut allowed, mut restricted) = (VARIANT::default(), VARIANT::default());
    // SAFETY: a class and its interface as Windows documents them; strings and variants that live through the call.
    unsafe {
        let manager: INetFwMgr = CoCreateInstance(&NetFwMgr, None, CLSCTX_INPROC_SERVER).ok()?;
        manager
            .IsPortAllowed(
                program,
                NET_FW_IP_VERSION_ANY,
                port.into(),
                &BSTR::new(),
                NET_FW_IP_PROTOCOL_TCP,
                &mut allowed,
                &mut restricted,
            )
            .ok()?;
    }
    bool::try_from(&allowed).ok()
}
