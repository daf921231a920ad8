import { type Tree, parentOf } from './model.ts';

/** What a person looks for in a model: a tensor's role, and the part of the network that it stands in. */
export const KINDS = ['weight', 'bias', 'norm', 'attention', 'mlp', 'embedding'] as const;
export type Kind = (typeof KINDS)[number];

/** Kinds of one question: several of them are alternatives, while both questions have to be answered. */
export const FACETS: readonly (readonly Kind[])[] = [
  ['weight', 'bias'],
  ['norm', 'attention', 'mlp', 'embedding'],
];

/** Much longer than any name in earnest; a file may hold others. */
const NAME_CHARACTERS = 1_000;

/** By the last part of a tensor's lower-case name: PyTorch's own layers, LSTM, weight_norm, Flax. */
const ROLES: readonly (readonly [Kind, RegExp])[] = [
  ['weight', /^weight|_weight$|^kernel$/],
  ['bias', /^bias|_bias$/],
];

/** By any part of a lower-case dotted name; a node is also what its ancestors are. */
const PARTS: readonly (readonly [Kind, RegExp])[] = [
  // LayerNorm, input_layernorm, layernorm_before, norm1, attention_norm, batch_norm, q_norm, final_layer_norm.
  ['norm', /norm(?:_?\d+)?(?:_(?:before|after|pre|post|[a-z]|\d+))?$/],
  // ln_1, ln_f, ln_pre, bn1, gn.
  ['norm', /^(?:ln|bn|gn)(?:\d+|_\w+)?$/],
  // attn, self_attn, SelfAttention, EncDecAttention, c_attn, multihead_attn, attention_1, attn_out.
  ['attention', /(?:attn|attention|mhs?a)(?:_?\d+|_(?:out|output|proj|block|bias))?$/],
  // The projections, also where nothing above them is called attention.
  [
    'attention',
    /^(?:[qkvo]_(?:proj|lin)|qkv(?:_proj)?|query|key|value|query_key_value|w[qkv]|to_[qkv]|to_kv)$/,
  ],
  // mlp, ffn, feed_forward, FeedForward, moe, block_sparse_moe, T5's DenseReluDense and DenseGatedActDense.
  ['mlp', /(?:^|_)(?:mlp|ffn|ff|ff_net|feed_?forward|moe)(?:_?\d+)?$|^dense\w*dense$|^(?:\w+_)?experts?$/],
  // gate_proj, up_proj, fc1, c_fc, dense_h_to_4h, BERT's intermediate, linear1 of nn.Transformer, w1 of LLaMA.
  [
    'mlp',
    /^(?:gate|up|down|gate_up)_proj$|^(?:fc|lin|linear|w)_?[123]$|^c_fc$|^dense_h_to_4h$|^dense_4h_to_h$|^intermediate$/,
  ],
  // wte, wpe, embed_tokens, patch_embed, token_embedding, tok_embeddings, pos_emb, cls_token, T5's shared table.
  [
    'embedding',
    /embed|(?:^|_)emb$|^w[tp]e$|^(?:cls|class|dist|mask|register)_tokens?$|^relative_position_bias_table$/,
  ],
];

/** By the whole lower-case name, where a part alone says too little: BERT's second linear layer, T5's table. */
const WHOLES: readonly (readonly [Kind, RegExp])[] = [
  ['mlp', /(?:^|\.)layers?\.\d+\.output\.dense(?:\.|$)/],
  ['embedding', /^shared\.weight$/],
];

export function bitOf(kind: Kind): number {
  return 1 << KINDS.indexOf(kind);
}

function bitsOf(table: readonly (readonly [Kind, RegExp])[], text: string): number {
  let bits = 0;
  for (const [kind, pattern] of table) if (pattern.test(text)) bits |= bitOf(kind);
  return bits;
}

/**
 * Kinds of each node as bits `[node]`, by its name and its ancestors'. A weight of one dimension is that of a norm
 * (linear layers, convolutions and embeddings have two or more), and so is the bias beside it: so a BatchNorm that is
 * only called `downsample.1` is found.
 */
export function kindsOf(tree: Tree, shapes: readonly (readonly number[] | null)[]): Uint8Array {
  const byPart = new Map<string, number>();
  const ofPart = (part: string): number => {
    const known = byPart.get(part) ?? bitsOf(PARTS, part);
    byPart.set(part, known);
    return known;
  };
  const places = new Uint8Array(tree.size);
  const roles = new Uint8Array(tree.size);
  const scales = new Set<number>();
  for (let node = 1; node < tree.size; node++) {
    const name = (tree.names[node] ?? '').slice(0, NAME_CHARACTERS).toLowerCase();
    const parts = name.split('.');
    const tensor = tree.kinds[node] === 'tensor';
    places[node] = parts.reduce((bits, part) => bits | ofPart(part), bitsOf(WHOLES, name));
    if (!tensor) continue;
    const role = bitsOf(ROLES, parts.at(-1) ?? '');
    const dimensions = shapes[node]?.length ?? 0;
    roles[node] = role === 0 && dimensions >= 2 ? bitOf('weight') : role;
    if (parts.at(-1) === 'weight' && dimensions === 1) scales.add(parentOf(tree, node));
  }
  return roles.map((role, node) => {
    const ofNorm = scales.has(parentOf(tree, node)) && role !== 0;
    return role | (places[node] ?? 0) | (ofNorm ? bitOf('norm') : 0);
  });
}

/** Nodes that are of the chosen kinds, one byte each. */
export function withKinds(kinds: Uint8Array, chosen: readonly Kind[]): Uint8Array {
  const masks = FACETS.map((facet) =>
    facet.filter((kind) => chosen.includes(kind)).reduce((bits, kind) => bits | bitOf(kind), 0),
  ).filter((mask) => mask !== 0);
  return kinds.map((bits) => (masks.every((mask) => (bits & mask) !== 0) ? 1 : 0));
}
