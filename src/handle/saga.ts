/** What `defineSaga` gives. The room `sagas` knows the whole of it; to everybody else it is a name. */
export interface Saga {
  readonly kind: 'saga'
  /** Unique in the store, among handlers too. */
  readonly name: string
}
