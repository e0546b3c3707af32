// Events with types: an EventTarget whose events carry a detail.

export class Events<Details> extends EventTarget {
  /** Calls `listener` with the detail of each event; returns a function that ends it. */
  on<Type extends keyof Details & string>(type: Type, listener: (detail: Details[Type]) => void): () => void {
    const handle = (event: Event) => listener((event as CustomEvent<Details[Type]>).detail);
    this.addEventListener(type, handle);
    return () => this.removeEventListener(type, handle);
  }

  protected emit<Type extends keyof Details & string>(type: Type, detail: Details[Type]): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
