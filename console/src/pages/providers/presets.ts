// Where well-known providers are, so that nobody has to look it up.

export interface Preset {
  readonly title: string;
  readonly name: string;
  readonly protocol: 'openai' | 'anthropic';
  readonly base_url: string;
}

const openai = (title: string, name: string, base_url: string): Preset => ({
  title,
  name,
  protocol: 'openai',
  base_url,
});

export const PRESETS: readonly Preset[] = [
  openai('OpenAI', 'openai', 'https://api.openai.com/v1'),
  {
    title: 'Anthropic',
    name: 'anthropic',
    protocol: 'anthropic',
    base_url: 'https://api.anthropic.com/v1',
  },
  openai('DeepSeek', 'deepseek', 'https://api.deepseek.com/v1'),
  openai('Google Gemini', 'gemini', 'https://generativelanguage.googleapis.com/v1beta/openai'),
  openai('Groq', 'groq', 'https://api.groq.com/openai/v1'),
  openai('Mistral', 'mistral', 'https://api.mistral.ai/v1'),
  openai('Moonshot', 'moonshot', 'https://api.moonshot.cn/v1'),
  openai('Qwen (DashScope)', 'qwen', 'https://dashscope.aliyuncs.com/compatible-mode/v1'),
  openai('OpenRouter', 'openrouter', 'https://openrouter.ai/api/v1'),
  openai('Ollama', 'ollama', 'http://127.0.0.1:11434/v1'),
  openai('vLLM', 'vllm', 'http://127.0.0.1:8000/v1'),
];
