'use client';
/** What makes a box a modal dialog for the keyboard: focus goes in, stays in, and comes back. */
import { type KeyboardEvent, type RefObject, useEffect } from 'react';

const FOCUSABLE =
  'a[href], button:not([disabled]), input:not([disabled]), select:not([disabled]), ' +
  'textarea:not([disabled]), [tabindex]:not([tabindex="-1"])';

/** `content` changes with what is shown: a button that goes must not take the focus along. */
export function useModal(
  ref: RefObject<HTMLDivElement | null>,
  onEscape: () => void,
  content: string,
): (event: KeyboardEvent) => void {
  useEffect(() => {
    const before = document.activeElement;
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);

  useEffect(() => {
    const box = ref.current;
    if (box && !box.contains(document.activeElement)) box.focus();
  }, [ref, content]);

  return (event) => {
    if (event.key === 'Escape') {
      event.stopPropagation();
      onEscape();
    } else if (event.key === 'Tab' && ref.current) {
      keepInside(event, ref.current);
    }
  };
}

function keepInside(event: KeyboardEvent, box: HTMLElement): void {
  const stops = [...box.querySelectorAll<HTMLElement>(FOCUSABLE)];
  const [first] = stops;
  const last = stops.at(-1);
  if (!first || !last) {
    event.preventDefault();
    return;
  }
  const here = document.activeElement;
  if (event.shiftKey && (here === first || here === box)) {
    event.preventDefault();
    last.focus();
  } else if (!event.shiftKey && here === last) {
    event.preventDefault();
    first.focus();
  }
}
