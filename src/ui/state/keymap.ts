import type { Action } from './update.ts'

/** One key press as the terminal gives it: a name for special keys, else the character. */
export interface Key {
  readonly name: string
  readonly ctrl: boolean
}

export interface Binding {
  /** As the terminal names it. */
  readonly keys: readonly string[]
  /** As help shows it. */
  readonly shown: string
  readonly says: string
  /** Footer order; bindings without one are in help only. */
  readonly footer?: number
  readonly action: Action
}

/** The only place that knows keys: the footer, the help overlay and the documentation are rendered from it. */
export const bindings: readonly Binding[] = [
  { keys: ['?'], shown: '?', says: 'help', footer: 1, action: { type: 'toggle-help' } },
  { keys: ['/'], shown: '/', says: 'filter', footer: 3, action: { type: 'type-filter' } },
  { keys: [' '], shown: 'Space', says: 'pause', footer: 4, action: { type: 'toggle-pause' } },
  { keys: ['tab'], shown: 'Tab', says: 'panel', footer: 5, action: { type: 'focus-next' } },
  { keys: ['shift-tab'], shown: 'Shift-Tab', says: 'panel before', action: { type: 'focus-previous' } },
  { keys: ['s'], shown: 's', says: 'sort', footer: 6, action: { type: 'next-sort' } },
  { keys: ['down', 'j'], shown: 'j ↓', says: 'down', action: { type: 'move', by: 1 } },
  { keys: ['up', 'k'], shown: 'k ↑', says: 'up', action: { type: 'move', by: -1 } },
  { keys: ['pagedown'], shown: 'PgDn', says: 'ten down', action: { type: 'move', by: 10 } },
  { keys: ['pageup'], shown: 'PgUp', says: 'ten up', action: { type: 'move', by: -10 } },
  { keys: ['g', 'home'], shown: 'g', says: 'first', action: { type: 'move-to', end: 'first' } },
  { keys: ['G', 'end'], shown: 'G', says: 'last', action: { type: 'move-to', end: 'last' } },
  { keys: ['enter'], shown: 'Enter', says: 'details', footer: 7, action: { type: 'open-detail' } },
  { keys: ['escape'], shown: 'Esc', says: 'back', footer: 8, action: { type: 'back' } },
  { keys: ['ctrl-z'], shown: 'Ctrl-Z', says: 'to the shell; fg comes back', action: { type: 'suspend' } },
  { keys: ['q'], shown: 'q', says: 'quit', footer: 2, action: { type: 'quit' } },
]

/** What a key means now. While a filter is typed, keys are text. */
export function actionFor(key: Key, typing: boolean): Action | undefined {
  if (key.ctrl && key.name === 'c') return { type: 'quit' }
  if (key.ctrl) return bindings.find((binding) => binding.keys.includes(`ctrl-${key.name}`))?.action
  if (!typing) return bindings.find((binding) => binding.keys.includes(key.name))?.action
  if (key.name === 'enter') return { type: 'accept-filter' }
  if (key.name === 'escape') return { type: 'cancel-filter' }
  if (key.name === 'backspace') return { type: 'erase' }
  return [...key.name].length === 1 ? { type: 'type', text: key.name } : undefined
}
