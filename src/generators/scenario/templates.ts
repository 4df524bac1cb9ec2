import type { EvtEvent } from '../../core/event.ts'

/** `${user.data.user_id}`: which event, and where in it. */
export interface Reference {
  readonly name: string
  readonly path: readonly string[]
  /** As it stands in the scenario. */
  readonly text: string
}

/** Texts and references in turn. */
export type Template = readonly (string | Reference)[]

/** What references read: the events of one instance by name. */
export type Lookup = (name: string) => EvtEvent | undefined

const reference = /\$\$\{|\$\{([^}]*)\}?/g

/** `$${` stays a plain `${`. A text without references is a template of one text. A reference that is not closed ends without a brace. */
export function parseTemplate(text: string): Template {
  const parts: (string | Reference)[] = []
  let [from, plain] = [0, '']
  for (const { 0: whole, 1: inner, index } of text.matchAll(reference)) {
    plain += text.slice(from, index)
    from = index + whole.length
    if (inner === undefined) plain += whole.slice(1)
    else {
      if (plain !== '') parts.push(plain)
      parts.push(toReference(inner, whole))
      plain = ''
    }
  }
  plain += text.slice(from)
  if (plain !== '' || parts.length === 0) parts.push(plain)
  return parts
}

function toReference(inner: string, text: string): Reference {
  const [name = '', ...path] = inner.trim().split('.')
  return { name, path, text }
}

/** Every reference anywhere in a value. */
export function referencesIn(value: unknown): readonly Reference[] {
  if (typeof value === 'string') return parseTemplate(value).filter((part) => typeof part !== 'string')
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap(referencesIn)
}

export type Fill = (lookup: Lookup) => unknown

/** A value in which texts that are one reference are that value, and other references are put into their text. */
export function compileFill(value: unknown): Fill {
  if (typeof value === 'string') return compileText(parseTemplate(value))
  if (referencesIn(value).length === 0) return () => value
  if (Array.isArray(value)) {
    const items = value.map(compileFill)
    return (lookup) => items.map((fill) => fill(lookup))
  }
  const members = Object.entries(value as object).map(([name, member]) => [name, compileFill(member)] as const)
  return (lookup) => Object.fromEntries(members.map(([name, fill]) => [name, fill(lookup)]))
}

function compileText(template: Template): Fill {
  const [first] = template
  if (template.length === 1)
    return typeof first === 'string' ? () => first : (lookup) => resolve(first as Reference, lookup)
  return (lookup) =>
    template.map((part) => (typeof part === 'string' ? part : String(resolve(part, lookup) ?? ''))).join('')
}

function resolve({ name, path }: Reference, lookup: Lookup): unknown {
  return path.reduce<unknown>(
    (value, part) => (value as Record<string, unknown> | null | undefined)?.[part],
    lookup(name),
  )
}

/** An expression with each reference as a literal; quotes around one are part of it. */
export function fillExpression(template: Template, lookup: Lookup): string {
  return template
    .map((part, i) => {
      if (typeof part !== 'string') return JSON.stringify(resolve(part, lookup) ?? null)
      const unopened = i > 0 ? part.replace(/^["']/, '') : part
      return i < template.length - 1 ? unopened.replace(/["']$/, '') : unopened
    })
    .join('')
}
