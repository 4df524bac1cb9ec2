import { changeAt } from './change-at.ts'
import type { SensitiveField } from './sensitive-fields.ts'

/** Texts of at least so many characters are looked for. */
const shortest = 3

/**
 * The text without the values that stand in marked fields of the data: an error often repeats what it could not use. Also in another
 * case, as URLs and JSON have them, and cut off by `…`.
 */
export const withoutValues = (text: string, fields: readonly SensitiveField[], data: unknown): string =>
  withoutTexts(text, valuesIn(fields, data))

/** What stands in marked fields of the data, as `addTexts` has it. */
export function valuesIn(fields: readonly Pick<SensitiveField, 'path'>[], data: unknown): Set<string> {
  const values = new Set<string>()
  for (const { path } of fields)
    changeAt(data, path.slice(0, path.includes('*') ? path.indexOf('*') : undefined), (value) => {
      addTexts(value, values)
      return value
    })
  return values
}

/** As `withoutValues`, of values that are known. */
export function withoutTexts(text: string, values: ReadonlySet<string>): string {
  if (values.size === 0) return text
  const folded = fold(text)
  const spans = [...new Set([...values].flatMap(formsOf))].flatMap((form) => [
    ...wholes(folded, form),
    ...beginnings(folded, form),
  ])
  return without(text, spans)
}

/** Texts and numbers in it that are long enough to be known again. */
export function addTexts(value: unknown, into: Set<string>): void {
  if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) addTexts(inner, into)
  else if (typeof value === 'string' && value.length >= shortest) into.add(value)
  else if (typeof value === 'number' && String(value).length >= shortest) into.add(String(value))
}

/** How a value is written down by those who could not use it. */
function formsOf(value: string): readonly string[] {
  const whole = value.toWellFormed()
  const inUrl = encodeURIComponent(whole)
  const inForm = new URLSearchParams({ v: whole }).toString().slice(2)
  const inJson = JSON.stringify(value).slice(1, -1)
  return [value, value.toUpperCase(), inUrl, encodeURI(whole), inForm, inJson].map(fold)
}

/** Of the same length, so that places stay what they are. */
const fold = (text: string) =>
  text.replace(/\p{Lu}/gu, (letter) => {
    const lower = letter.toLowerCase()
    return lower.length === letter.length ? lower : letter
  })

type Span = readonly [from: number, to: number]

function* wholes(text: string, form: string): Generator<Span> {
  for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1)) yield [at, at + form.length]
}

/** Long errors are cut, and what is cut off may be the end of a value. */
function* beginnings(text: string, form: string): Generator<Span> {
  const start = form.slice(0, shortest)
  for (let cut = text.indexOf('…'); cut >= 0; cut = text.indexOf('…', cut + 1))
    for (
      let at = text.indexOf(start, Math.max(0, cut - form.length));
      at >= 0 && at < cut;
      at = text.indexOf(start, at + 1)
    )
      if (form.startsWith(text.slice(at, cut))) yield [at, cut]
}

function without(text: string, spans: readonly Span[]): string {
  let shown = ''
  let done = 0
  for (const [from, to] of spans.toSorted(([a], [b]) => a - b)) {
    if (to <= done) continue
    if (from >= done) shown += `${text.slice(done, from)}***`
    done = to
  }
  return shown + text.slice(done)
}
