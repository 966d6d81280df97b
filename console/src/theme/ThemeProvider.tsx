// Applies the chosen theme to the document and to Ant Design, and follows the system's.

import { App, ConfigProvider, theme, type ThemeConfig } from 'antd';
import type { Locale } from 'antd/es/locale';
import { type ReactNode, useEffect, useMemo, useState } from 'react';
import { facts } from '../facts';
import { keep, kept } from './kept';
import { type Mode, MODES, ThemeContext } from './theme';

const SHARED = {
  borderRadius: 8,
  fontFamily:
    'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "PingFang SC", "PingFang TC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif',
  fontSize: 14,
  wireframe: false,
};

const LIGHT: ThemeConfig = {
  token: {
    ...SHARED,
    colorPrimary: '#0f766e',
    colorInfo: '#0f766e',
    colorLink: '#0f766e',
    colorError: '#b42318',
    colorSuccess: '#15803d',
    colorWarning: '#b45309',
    colorTextBase: '#1c2526',
    colorTextDescription: '#5b6b6c',
    colorTextPlaceholder: '#677778',
    colorBorder: '#c9d4d3',
    colorBorderSecondary: '#dde5e4',
    colorBgLayout: '#f5f8f7',
  },
  components: { Button: { primaryShadow: 'none', defaultShadow: 'none', dangerShadow: 'none' } },
};

const DARK: ThemeConfig = {
  algorithm: theme.darkAlgorithm,
  token: {
    ...SHARED,
    colorPrimary: '#2dd4bf',
    colorInfo: '#2dd4bf',
    colorLink: '#5eead4',
    colorError: '#f97066',
    colorTextBase: '#e6eeed',
    colorTextDescription: '#9aacab',
    colorTextPlaceholder: '#8b9d9c',
    colorBgBase: '#151d1e',
    colorBgContainer: '#151d1e',
    colorBgElevated: '#1c2728',
    colorBgLayout: '#0e1415',
    colorTextLightSolid: '#04211e',
  },
  components: {
    Button: { primaryShadow: 'none', defaultShadow: 'none', dangerShadow: 'none' },
    Tooltip: { colorTextLightSolid: '#e6eeed' },
  },
};

const DARK_WANTED = '(prefers-color-scheme: dark)';

function useSystemIsDark(): boolean {
  const [isDark, setIsDark] = useState(() => matchMedia(DARK_WANTED).matches);
  useEffect(() => {
    const wanted = matchMedia(DARK_WANTED);
    const heed = () => {
      setIsDark(wanted.matches);
    };
    wanted.addEventListener('change', heed);
    return () => {
      wanted.removeEventListener('change', heed);
    };
  }, []);
  return isDark;
}

interface Props {
  readonly locale: Locale | undefined;
  readonly children: ReactNode;
}

export function ThemeProvider({ locale, children }: Props) {
  const [mode, setMode] = useState<Mode>(
    () => MODES.find((one) => one === kept('theme')) ?? 'system',
  );
  const systemIsDark = useSystemIsDark();
  const isDark = mode === 'system' ? systemIsDark : mode === 'dark';
  useEffect(() => {
    document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light';
  }, [isDark]);
  const choice = useMemo(
    () => ({
      mode,
      isDark,
      choose: (one: Mode) => {
        keep('theme', one);
        setMode(one);
      },
    }),
    [mode, isDark],
  );
  return (
    <ThemeContext value={choice}>
      <ConfigProvider
        theme={isDark ? DARK : LIGHT}
        {...(locale ? { locale } : {})}
        csp={{ nonce: facts.nonce }}
        wave={{ disabled: true }}
        button={{ autoInsertSpace: false }}
      >
        <App component={false}>{children}</App>
      </ConfigProvider>
    </ThemeContext>
  );
}
