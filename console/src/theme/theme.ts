// Light and dark: which is chosen, and what Ant Design and charts make of it.

import { createContext, useContext } from 'react';

export const MODES = ['system', 'light', 'dark'] as const;
export type Mode = (typeof MODES)[number];

export interface ThemeChoice {
  readonly mode: Mode;
  readonly isDark: boolean;
  readonly choose: (mode: Mode) => void;
}

export const ThemeContext = createContext<ThemeChoice>({
  mode: 'system',
  isDark: false,
  choose: () => undefined,
});

export function useTheme(): ThemeChoice {
  return useContext(ThemeContext);
}

/** Colours that charts paint with; pages take theirs from the style sheet's variables. */
export interface Colors {
  readonly text: string;
  readonly muted: string;
  readonly line: string;
  readonly surface: string;
  readonly series: readonly string[];
  /** From nothing to much, for heat maps. */
  readonly heat: readonly string[];
}

export const LIGHT: Colors = {
  text: '#1c2526',
  muted: '#5b6b6c',
  line: '#dde5e4',
  surface: '#ffffff',
  series: ['#0f766e', '#b45309', '#4f46e5', '#be185d', '#4d7c0f', '#0369a1', '#7c3aed', '#a16207'],
  heat: ['#eef4f3', '#b9e0da', '#5fb8ac', '#0f766e', '#083f3b'],
};

export const DARK: Colors = {
  text: '#e6eeed',
  muted: '#9aacab',
  line: '#2a3737',
  surface: '#151d1e',
  series: ['#2dd4bf', '#fbbf24', '#a5b4fc', '#f9a8d4', '#bef264', '#7dd3fc', '#c4b5fd', '#fde047'],
  heat: ['#1c2728', '#134e4a', '#0f766e', '#2dd4bf', '#ccfbf1'],
};

export function useColors(): Colors {
  return useTheme().isDark ? DARK : LIGHT;
}
