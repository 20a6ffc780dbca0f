//! FFmpeg's libraries, with the functions of each that are called here: see [`crate::on_demand`].

use crate::on_demand::library;

/// FFmpeg's log is libavutil's: it is silenced before another library has something to say.
fn prepare_avutil() {
    super::log::install();
}

fn after_avutil() {
    AVUTIL.load_or_exit();
}

fn prepare_avformat() {
    after_avutil();
    super::srt_log::install();
}

library! { AVUTIL, avutil, "avutil", ffmpeg_sys_the_third::LIBAVUTIL_VERSION_MAJOR, prepare_avutil,
    av_buffer_alloc av_buffer_ref av_buffer_unref av_dict_count av_dict_free av_dict_set av_frame_alloc av_frame_copy_props av_frame_free
    av_frame_get_buffer av_frame_get_side_data av_frame_is_writable av_frame_make_writable av_frame_ref
    av_hwdevice_ctx_create av_hwframe_ctx_alloc av_hwframe_ctx_init av_hwframe_get_buffer av_hwframe_transfer_data
    av_image_fill_linesizes av_image_fill_pointers av_log_default_callback av_log_set_callback av_log_set_level av_mallocz
    av_pix_fmt_desc_get av_rescale_q av_strerror
}

library! { AVCODEC, avcodec, "avcodec", ffmpeg_sys_the_third::LIBAVCODEC_VERSION_MAJOR, after_avutil,
    av_bsf_alloc av_bsf_free av_bsf_get_by_name av_bsf_init av_bsf_receive_packet av_bsf_send_packet av_new_packet
    av_packet_alloc av_packet_free av_packet_get_side_data av_packet_rescale_ts av_packet_unref
    avcodec_alloc_context3 avcodec_find_decoder avcodec_find_decoder_by_name avcodec_find_encoder_by_name
    avcodec_flush_buffers avcodec_free_context avcodec_get_class avcodec_get_name avcodec_open2 avcodec_parameters_copy
    avcodec_parameters_to_context avcodec_receive_frame avcodec_receive_packet avcodec_send_frame avcodec_send_packet
}

library! { AVFORMAT, avformat, "avformat", ffmpeg_sys_the_third::LIBAVFORMAT_VERSION_MAJOR, prepare_avformat,
    av_find_best_stream av_find_input_format av_guess_frame_rate av_guess_sample_aspect_ratio av_read_frame
    av_stream_get_side_data av_write_frame av_write_trailer avformat_alloc_context avformat_alloc_output_context2
    avformat_close_input avformat_find_stream_info avformat_free_context avformat_new_stream avformat_open_input
    avformat_seek_file avformat_write_header avio_closep avio_open2 avio_seek
}

library! { AVDEVICE, avdevice, "avdevice", ffmpeg_sys_the_third::LIBAVDEVICE_VERSION_MAJOR, after_avutil,
    avdevice_register_all
}

library! { SWSCALE, swscale, "swscale", ffmpeg_sys_the_third::LIBSWSCALE_VERSION_MAJOR, after_avutil,
    sws_freeContext sws_getCoefficients sws_getContext sws_scale sws_setColorspaceDetails
}
