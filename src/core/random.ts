/**
 * A small seeded generator of numbers in [0, 1), 32 bits each: sfc32 (PractRand), seeded through splitmix32. The same
 * seed gives the same sequence on every machine and in every version of evt. Not for secrets.
 */
export function createRandom(seed: number): () => number {
  const mix = splitmix32(seed)
  let a = mix()
  let b = mix()
  let c = mix()
  let counter = 1
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    c |= 0
    return (sum >>> 0) / 4294967296
  }
  // The author's advice: the first outputs still show the seed.
  for (let i = 0; i < 12; i++) next()
  return next
}

function splitmix32(seed: number): () => number {
  const high = Math.trunc(seed / 4294967296)
  let state = (seed ^ Math.imul(high, 0x9e3779b9)) | 0
  return () => {
    state = (state + 0x9e3779b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) | 0
  }
}
