/**
 * Segments of module paths that have an underscore of their own, by the libraries they come from. Only these need to be
 * known: every other word of a flattened path is a segment by itself.
 */
const joined: readonly string[] = [
  // diffusers: UNet
  ..."down_blocks up_blocks mid_block transformer_blocks proj_in proj_out time_emb_proj conv_shortcut".split(" "),
  ..."conv_in conv_out conv_norm_out time_embedding add_embedding class_embedding linear_1 linear_2".split(" "),
  ..."temp_attentions temp_convs motion_modules encoder_hid_proj cond_proj".split(" "),
  // diffusers: attention and transformers
  ..."to_q to_k to_v to_out to_add_out add_q_proj add_k_proj add_v_proj to_q_ip to_k_ip to_v_ip".split(" "),
  ..."single_transformer_blocks ff_context norm1_context norm_out x_embedder context_embedder".split(" "),
  ..."time_text_embed timestep_embedder guidance_embedder text_embedder proj_mlp pos_embed".split(" "),
  ..."patch_embed caption_projection adaln_single condition_embedder".split(" "),
  // the models' own code: Stable Diffusion, SDXL, Flux, SD3
  ..."input_blocks output_blocks middle_block in_layers out_layers emb_layers skip_connection".split(" "),
  ..."time_embed label_emb double_blocks single_blocks img_attn txt_attn img_mlp txt_mlp".split(" "),
  ..."img_mod txt_mod img_in txt_in time_in vector_in guidance_in final_layer in_layer out_layer".split(" "),
  ..."joint_blocks x_block context_block adaLN_modulation y_embedder t_embedder cross_attn".split(" "),
  // text encoders and language models
  ..."text_model vision_model self_attn q_proj k_proj v_proj o_proj out_proj in_proj qkv_proj".split(" "),
  ..."layer_norm1 layer_norm2 final_layer_norm token_embedding position_embedding text_projection".split(" "),
  ..."visual_projection gate_proj up_proj down_proj gate_up_proj embed_tokens lm_head c_attn c_proj c_fc".split(" "),
  ..."query_key_value dense_h_to_4h dense_4h_to_h encoder_attn input_layernorm".split(" "),
  ..."post_attention_layernorm wi_0 wi_1".split(" "),
];

const known = new Set(joined);
const longest = Math.max(...joined.map((segment) => segment.split("_").length));

/**
 * Puts the dots back into a path whose dots became underscores, as kohya's trainers write it:
 * `down_blocks_1_attentions_0_proj_in` is `down_blocks.1.attentions.0.proj_in`. The longest known segment wins; a word that
 * is part of none is a segment of its own. Nothing but underscores changes, so where a segment is not known and cut in two,
 * the path only looks different: modules are compared without dots.
 */
export function splitFlatPath(path: string): string {
  const words = path.split("_");
  const segments: string[] = [];
  for (let at = 0; at < words.length; ) {
    let length = Math.min(longest, words.length - at);
    while (length > 1 && !known.has(words.slice(at, at + length).join("_"))) length--;
    segments.push(words.slice(at, at + length).join("_"));
    at += length;
  }
  return segments.join(".");
}
