/** One column each, whatever stands beside them: what nearly every cell is made of. */
const narrow = /^[\u0020-\u007e\u00a0-\u02ff\u2010-\u2027\u2190-\u21ff\u2500-\u25ff]*$/
const letters = new Intl.Segmenter(undefined, { granularity: 'grapheme' })
/** Shown as pictures, or East Asian wide and fullwidth (Unicode, UAX #11). */
const wide =
  /\p{Emoji_Presentation}|\ufe0f|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u

const letterWidth = (letter: string) => (wide.test(letter) ? 2 : /^\p{M}+$/u.test(letter) ? 0 : 1)

/** Columns of a terminal that `text` takes; it holds no control characters. */
export function widthOf(text: string): number {
  if (narrow.test(text)) return text.length
  let width = 0
  for (const { segment } of letters.segment(text)) width += letterWidth(segment)
  return width
}

/** As many whole letters from the start as fit into `width` columns. */
export function startOf(text: string, width: number): string {
  if (narrow.test(text)) return text.slice(0, Math.max(0, width))
  let room = width
  let end = 0
  for (const { segment, index } of letters.segment(text)) {
    room -= letterWidth(segment)
    if (room < 0) break
    end = index + segment.length
  }
  return text.slice(0, end)
}
