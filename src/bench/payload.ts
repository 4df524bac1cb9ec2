const poolSize = 1_024

/**
 * JSON of event k's data: `{"k":7,"run":"…","pad":"…"}`, as many bytes as the plan's sizes say, in turn; never fewer
 * than its members need. Padding is made once.
 */
export function createPayloads(run: string, sizesBytes: readonly number[]): (k: number) => string {
  const frame = `{"k":,"run":"${run}","pad":""}`.length
  const tails = Array.from({ length: Math.min(poolSize, sizesBytes.length) }, (_, i) => {
    const padding = Math.max(0, (sizesBytes[i] ?? 0) - frame - 6)
    return `,"run":"${run}","pad":"${paddingText.repeat(Math.ceil(padding / paddingText.length)).slice(0, padding)}"}`
  })
  return (k) => `{"k":${k}${tails[Math.abs(k) % tails.length] ?? '}'}`
}

const paddingText = 'k3v9xq0ztb7mf2hd8ylr5wpc1jn6gsae4u-'
