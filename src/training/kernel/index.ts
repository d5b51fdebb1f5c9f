/**
 * One step of Adam in one pass over the parameters, their gradients and both moments: what a chain of operators reads and
 * writes ten times goes through memory once. Addresses are byte offsets in the imported memory, `count` is a multiple of 4.
 * Kingma and Ba, ICLR 2015, https://arxiv.org/abs/1412.6980, algorithm 1; the corrections of both biases come in `rate` and
 * `scale`, as PyTorch has them: p -= rate·m / (√v·scale + epsilon).
 * Weight decay is added to the gradient (L2), as the authors of ProbeX have it.
 */
export function adam(
  parameters: usize,
  gradients: usize,
  first: usize,
  second: usize,
  count: usize,
  rate: f32,
  scale: f32,
  beta1: f32,
  beta2: f32,
  epsilon: f32,
  decay: f32,
): void {
  const rates = f32x4.splat(rate);
  const scales = f32x4.splat(scale);
  const decays = f32x4.splat(decay);
  const epsilons = f32x4.splat(epsilon);
  const keep1 = f32x4.splat(beta1);
  const take1 = f32x4.splat(1 - beta1);
  const keep2 = f32x4.splat(beta2);
  const take2 = f32x4.splat(1 - beta2);
  for (let at: usize = 0; at < count << 2; at += 16) {
    const p = v128.load(parameters + at);
    const g = f32x4.add(v128.load(gradients + at), f32x4.mul(decays, p));
    const m = f32x4.add(f32x4.mul(keep1, v128.load(first + at)), f32x4.mul(take1, g));
    const v = f32x4.add(f32x4.mul(keep2, v128.load(second + at)), f32x4.mul(take2, f32x4.mul(g, g)));
    v128.store(first + at, m);
    v128.store(second + at, v);
    const spread = f32x4.add(f32x4.mul(f32x4.sqrt(v), scales), epsilons);
    v128.store(parameters + at, f32x4.sub(p, f32x4.div(f32x4.mul(rates, m), spread)));
  }
}
