"""What every door of OpenAI's clients stands on: who is asked, how it is begun, what its run tells, and who leaves."""
