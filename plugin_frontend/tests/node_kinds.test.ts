import { describe, expect, it } from 'vitest';
import { buildTree } from '../src/model.ts';
import { KINDS, type Kind, bitOf, kindsOf, withKinds } from '../src/node_kinds.ts';
import { modelOf } from './support/models.ts';

/** Names as the model families give them, with what a reader of the model's code would say of each. */
const FAMILIES: Record<string, readonly (readonly [string, readonly number[], string])[]> = {
  'GPT-2 (Hugging Face)': [
    ['transformer.wte.weight', [50257, 768], 'weight embedding'],
    ['transformer.wpe.weight', [1024, 768], 'weight embedding'],
    ['transformer.h.0.ln_1.weight', [768], 'weight norm'],
    ['transformer.h.0.ln_1.bias', [768], 'bias norm'],
    ['transformer.h.0.attn.c_attn.weight', [768, 2304], 'weight attention'],
    ['transformer.h.0.attn.c_proj.bias', [768], 'bias attention'],
    ['transformer.h.0.mlp.c_fc.weight', [768, 3072], 'weight mlp'],
    ['transformer.h.0.mlp.c_proj.bias', [768], 'bias mlp'],
    ['transformer.ln_f.weight', [768], 'weight norm'],
    ['lm_head.weight', [50257, 768], 'weight'],
  ],
  'GPT-NeoX': [
    ['gpt_neox.embed_in.weight', [50432, 512], 'weight embedding'],
    ['gpt_neox.layers.0.attention.query_key_value.weight', [1536, 512], 'weight attention'],
    ['gpt_neox.layers.0.attention.dense.bias', [512], 'bias attention'],
    ['gpt_neox.layers.0.mlp.dense_h_to_4h.weight', [2048, 512], 'weight mlp'],
    ['gpt_neox.final_layer_norm.bias', [512], 'bias norm'],
    ['embed_out.weight', [50432, 512], 'weight embedding'],
  ],
  'LLaMA (Hugging Face)': [
    ['model.embed_tokens.weight', [32000, 4096], 'weight embedding'],
    ['model.layers.0.self_attn.q_proj.weight', [4096, 4096], 'weight attention'],
    ['model.layers.0.self_attn.o_proj.weight', [4096, 4096], 'weight attention'],
    ['model.layers.0.self_attn.q_norm.weight', [128], 'weight norm attention'],
    ['model.layers.0.mlp.gate_proj.weight', [11008, 4096], 'weight mlp'],
    ['model.layers.0.input_layernorm.weight', [4096], 'weight norm'],
    ['model.layers.0.post_attention_layernorm.weight', [4096], 'weight norm'],
    ['model.norm.weight', [4096], 'weight norm'],
    ['lm_head.weight', [32000, 4096], 'weight'],
  ],
  'LLaMA (Meta) and Mixtral': [
    ['tok_embeddings.weight', [32000, 4096], 'weight embedding'],
    ['layers.0.attention.wq.weight', [4096, 4096], 'weight attention'],
    ['layers.0.attention.wo.weight', [4096, 4096], 'weight attention'],
    ['layers.0.attention_norm.weight', [4096], 'weight norm'],
    ['layers.0.ffn_norm.weight', [4096], 'weight norm'],
    ['layers.0.feed_forward.w1.weight', [11008, 4096], 'weight mlp'],
    ['layers.1.block_sparse_moe.experts.3.w2.weight', [4096, 14336], 'weight mlp'],
    ['layers.1.block_sparse_moe.gate.weight', [8, 4096], 'weight mlp'],
  ],
  BERT: [
    ['bert.embeddings.word_embeddings.weight', [30522, 768], 'weight embedding'],
    ['bert.embeddings.LayerNorm.bias', [768], 'bias norm embedding'],
    ['bert.encoder.layer.0.attention.self.query.weight', [768, 768], 'weight attention'],
    ['bert.encoder.layer.0.attention.output.LayerNorm.weight', [768], 'weight norm attention'],
    ['bert.encoder.layer.0.intermediate.dense.bias', [3072], 'bias mlp'],
    ['bert.encoder.layer.0.output.dense.weight', [768, 3072], 'weight mlp'],
    ['bert.encoder.layer.0.output.LayerNorm.weight', [768], 'weight norm'],
    ['bert.pooler.dense.weight', [768, 768], 'weight'],
  ],
  'ViT (timm and Hugging Face)': [
    ['cls_token', [1, 1, 768], 'weight embedding'],
    ['pos_embed', [1, 197, 768], 'weight embedding'],
    ['patch_embed.proj.weight', [768, 3, 16, 16], 'weight embedding'],
    ['blocks.0.norm1.weight', [768], 'weight norm'],
    ['blocks.0.attn.qkv.bias', [2304], 'bias attention'],
    ['blocks.0.ls1.gamma', [768], ''],
    ['blocks.0.mlp.fc1.weight', [3072, 768], 'weight mlp'],
    ['vit.encoder.layer.0.layernorm_before.weight', [768], 'weight norm'],
    ['vit.encoder.layer.0.attention.attention.key.bias', [768], 'bias attention'],
  ],
  ResNet: [
    ['conv1.weight', [64, 3, 7, 7], 'weight'],
    ['bn1.weight', [64], 'weight norm'],
    ['bn1.bias', [64], 'bias norm'],
    ['layer1.0.conv2.weight', [64, 64, 3, 3], 'weight'],
    ['layer2.0.downsample.0.weight', [128, 64, 1, 1], 'weight'],
    ['layer2.0.downsample.1.weight', [128], 'weight norm'],
    ['layer2.0.downsample.1.bias', [128], 'bias norm'],
    ['fc.weight', [1000, 512], 'weight'],
    ['fc.bias', [1000], 'bias'],
  ],
  T5: [
    ['shared.weight', [32128, 512], 'weight embedding'],
    ['encoder.block.0.layer.0.SelfAttention.q.weight', [512, 512], 'weight attention'],
    ['encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight', [32, 8], 'weight attention'],
    ['encoder.block.0.layer.0.layer_norm.weight', [512], 'weight norm'],
    ['encoder.block.0.layer.1.DenseReluDense.wi.weight', [2048, 512], 'weight mlp'],
    ['decoder.block.0.layer.1.EncDecAttention.o.weight', [512, 512], 'weight attention'],
    ['decoder.block.0.layer.2.DenseReluDense.wo.weight', [512, 2048], 'weight mlp'],
  ],
  'nn.Transformer and nn.LSTM': [
    ['encoder.layers.0.self_attn.in_proj_weight', [1536, 512], 'weight attention'],
    ['encoder.layers.0.self_attn.in_proj_bias', [1536], 'bias attention'],
    ['encoder.layers.0.self_attn.out_proj.bias', [512], 'bias attention'],
    ['decoder.layers.0.multihead_attn.out_proj.weight', [512, 512], 'weight attention'],
    ['encoder.layers.0.linear1.weight', [2048, 512], 'weight mlp'],
    ['encoder.layers.0.norm2.bias', [512], 'bias norm'],
    ['lstm.weight_ih_l0', [400, 100], 'weight'],
    ['lstm.bias_hh_l0', [400], 'bias'],
  ],
};

function wordsOf(bits: number): string {
  return KINDS.filter((kind) => (bits & bitOf(kind)) !== 0).join(' ');
}

describe('kinds', () => {
  for (const [family, tensors] of Object.entries(FAMILIES))
    it(`of ${family}`, () => {
      const { nodes } = modelOf(tensors.map(([name, shape]) => ({ name, shape })));
      const kinds = kindsOf(buildTree(nodes), nodes.shape);
      const found = tensors.map(([name]) => `${name}: ${wordsOf(kinds[nodes.name.indexOf(name)] ?? 0)}`);
      expect(found).toEqual(tensors.map(([name, , words]) => `${name}: ${words}`));
    });

  it('of modules are those of their path, and never those of a tensor', () => {
    const { nodes } = modelOf([
      { name: 'blocks.0.attn.qkv.weight', shape: [4, 4] },
      { name: 'blocks.0.mlp.0.bias', shape: [4] },
    ]);
    const kinds = kindsOf(buildTree(nodes), nodes.shape);
    const of = (name: string) => wordsOf(kinds[nodes.name.indexOf(name)] ?? 0);
    expect(
      ['', 'blocks', 'blocks.0', 'blocks.0.attn', 'blocks.0.attn.qkv', 'blocks.0.mlp.0'].map(of),
    ).toEqual(['', '', '', 'attention', 'attention', 'mlp']);
  });

  it('are alternatives within a question, and narrow each other across the two', () => {
    const all = Uint8Array.from(KINDS, bitOf);
    const both = Uint8Array.from([
      ...all,
      bitOf('weight') | bitOf('attention'),
      bitOf('bias') | bitOf('attention'),
    ]);
    const chosen = (...kinds: Kind[]) => Array.from(withKinds(both, kinds));
    expect(chosen('weight', 'bias')).toEqual([1, 1, 0, 0, 0, 0, 1, 1]);
    expect(chosen('attention', 'mlp')).toEqual([0, 0, 0, 1, 1, 0, 1, 1]);
    expect(chosen('attention', 'weight')).toEqual([0, 0, 0, 0, 0, 0, 1, 0]);
  });
});
