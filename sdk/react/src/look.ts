/**
 * How the dialog looks: the system's own colours, so that it follows light and dark by itself. Set
 * through the DOM, not as a style sheet, so that it works under a strict Content-Security-Policy.
 */
import type { CSSProperties } from 'react';

export const BACKDROP: CSSProperties = {
  position: 'fixed',
  inset: 0,
  zIndex: 1000,
  display: 'flex',
  alignItems: 'center',
  justifyContent: 'center',
  padding: '1rem',
  background: 'rgb(0 0 0 / 45%)',
};

export const BOX: CSSProperties = {
  boxSizing: 'border-box',
  width: '26rem',
  maxWidth: '100%',
  maxHeight: '100%',
  overflow: 'auto',
  padding: '1.25rem',
  border: '1px solid GrayText',
  borderRadius: '0.75rem',
  background: 'Canvas',
  color: 'CanvasText',
};

export const TITLE: CSSProperties = { margin: '0 0 0.75rem', fontSize: '1.125rem' };

export const FIGURES: CSSProperties = {
  display: 'grid',
  gridTemplateColumns: '1fr auto',
  gap: '0.25rem 1rem',
  margin: '0.75rem 0',
};

export const FIGURE: CSSProperties = {
  margin: 0,
  textAlign: 'end',
  fontVariantNumeric: 'tabular-nums',
  overflowWrap: 'anywhere',
};

export const BUTTONS: CSSProperties = {
  display: 'flex',
  flexWrap: 'wrap',
  justifyContent: 'flex-end',
  gap: '0.5rem',
  marginTop: '1rem',
};

export const BUTTON: CSSProperties = {
  minHeight: '2.5rem',
  padding: '0 1rem',
  border: '1px solid ButtonBorder',
  borderRadius: '0.5rem',
  background: 'ButtonFace',
  color: 'ButtonText',
  font: 'inherit',
  lineHeight: '2.5rem',
  textDecoration: 'none',
  cursor: 'pointer',
};

export const MAIN_BUTTON: CSSProperties = {
  ...BUTTON,
  borderColor: 'transparent',
  background: '#1456c4',
  color: '#fff',
};
